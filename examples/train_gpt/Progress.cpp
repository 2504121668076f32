// Progress on stderr.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Progress.h"

#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

namespace traingpt {
namespace {

std::string duration(double seconds) {
  int64_t whole = static_cast<int64_t>(std::ceil(seconds));
  if (whole < 60)
    return fmt::format("{} s", whole);
  if (whole < 3600)
    return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02} h", whole / 3600, whole / 60 % 60);
}

} // namespace

Progress::Progress(int64_t firstStep, int64_t steps, bool quiet)
    : firstStep(firstStep), steps(steps), quiet(quiet), start(Clock::now()), lastDraw(start - std::chrono::seconds(1)) {
  const char *term = std::getenv("TERM");
  terminal = isatty(STDERR_FILENO) && term && std::string(term) != "dumb";
}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (drawn)
    fmt::print(stderr, "\r\033[K");
  drawn = false;
  std::fflush(stderr);
}

void Progress::update(const MetricsRow &row, int64_t tokensPerStep) {
  if (quiet)
    return;
  Clock::time_point now = Clock::now();
  double elapsed = std::chrono::duration<double>(now - start).count();
  double perStep = elapsed / static_cast<double>(row.step - firstStep);
  double left = perStep * static_cast<double>(steps - row.step);
  std::string figures = fmt::format("loss {:.4f}  {:.0f} tokens/s  {} left", row.trainLoss,
                                    static_cast<double>(tokensPerStep) / perStep, duration(left));
  if (!std::isnan(row.validationLoss)) {
    clear();
    fmt::print(stderr, "step {:>{}}/{}  val {:.4f}  {}\n", row.step, std::to_string(steps).size(), steps,
               row.validationLoss, figures);
    std::fflush(stderr);
  }
  if (!terminal || now - lastDraw < std::chrono::milliseconds(100))
    return;
  lastDraw = now;
  constexpr int64_t kCells = 24;
  int64_t filled = row.step * kCells / steps;
  fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {}/{}  {}\033[K", "", filled, "", kCells - filled, row.step, steps, figures);
  std::fflush(stderr);
  drawn = true;
}

} // namespace traingpt
