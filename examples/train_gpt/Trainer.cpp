// A run.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Trainer.h"

#include "Curves.h"
#include "Files.h"
#include "Progress.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <stdexcept>

namespace traingpt {
namespace {

namespace fs = std::filesystem;

/// Makes the folder of the run, or refuses one that holds a run already.
std::string prepareFolder(const Options &options) {
  std::error_code error;
  fs::create_directories(options.outDir, error);
  if (error)
    throw std::runtime_error(fmt::format("cannot make the folder '{}': {}", options.outDir, error.message()));
  fs::path folder(options.outDir);
  bool used = fs::exists(folder / "checkpoint.bin") || fs::exists(folder / "metrics.csv");
  if (used && !options.resume && !options.overwrite)
    throw std::runtime_error(fmt::format("'{}' holds a run already: continue it with --resume, delete it with --overwrite, or choose "
                                         "another --out",
                                         options.outDir));
  if (options.overwrite)
    for (const char *name : {"checkpoint.bin", "metrics.csv", "health.csv", "result.json", "curves.svg", "config.json"})
      fs::remove(folder / name);
  return (folder / "tokenizer.bpe").string();
}

/// The model's vocabulary is what the tokenizer found, which may be less than was asked for.
ModelShape withVocabulary(ModelShape shape, const Tokenizer &tokenizer) {
  shape.vocabulary = tokenizer.vocabulary();
  return shape;
}

/// The rows of a resumed run must be there up to its checkpoint.
void checkMetricsReach(const std::string &path, int64_t step) {
  int64_t last = 0;
  if (fs::exists(path))
    for (const MetricsRow &row : readMetrics(path))
      last = std::max(last, row.step);
  if (last < step)
    throw std::runtime_error(fmt::format("'{}' ends at step {}, before the checkpoint's step {}: it was changed or deleted; put it back, or "
                                         "start the run anew with --overwrite",
                                         path, last, step));
}

nlohmann::json identityOf(const Options &options, const Data &data) {
  nlohmann::json identity = options.identity();
  identity["text"] = fmt::format("{:016x}", data.textChecksum);
  return identity;
}

} // namespace

Trainer::Trainer(const Options &options)
    : options(options),
      factory((prepareFolder(options), makeLinearFactory(options.recipe, options.device, options.seed))),
      data(options.text, options.shape.vocabulary, options.shape.context, inOut("tokenizer.bpe")),
      model(withVocabulary(options.shape, data.tokenizer), *factory, options.seed) {
  if (options.resume && fs::exists(inOut("checkpoint.bin"))) {
    state = loadCheckpoint(inOut("checkpoint.bin"), identityOf(options, data), model.parameters);
    model.refreshWeights(static_cast<uint64_t>(state.step * options.microBatches));
    checkMetricsReach(inOut("metrics.csv"), state.step);
  }
  replaceFile(inOut("config.json"), identityOf(options, data).dump(2) + "\n");
  metrics = std::make_unique<CsvFile>(inOut("metrics.csv"), kMetricsHeader, state.step);
  if (options.health)
    health = std::make_unique<Health>(inOut("health.csv"), state.step);
  if (!options.quiet)
    fmt::print(stderr, "train_gpt: {} parameters, {} + {} tokens, recipe {} ({}){}\n", model.parameterCount(),
               data.training.size(), data.validation.size(), options.recipe, factory->description(),
               state.step ? fmt::format(", resumed after step {}", state.step) : "");
}

bool Trainer::evaluatesAt(int64_t step) const {
  return step == options.optimizer.steps || (options.evalEvery > 0 && step % options.evalEvery == 0);
}

MetricsRow Trainer::trainStep(int64_t step) {
  int64_t sequences = options.batch / options.microBatches, length = options.shape.context;
  int64_t tokens = options.batch * length;
  bool measured = health && evaluatesAt(step);
  double loss = 0.0;
  model.zeroGradients();
  for (int64_t part = 0; part < options.microBatches; ++part) {
    uint64_t index = static_cast<uint64_t>((step - 1) * options.microBatches + part);
    Batch batch = data.trainingBatch(options.seed, index * static_cast<uint64_t>(sequences), sequences);
    model.setMicroBatch(index);
    model.setObserver(measured && part == 0 ? health.get() : nullptr);
    loss += model.forward(batch.ids.data(), batch.targets.data(), sequences, length);
    model.backward(batch.ids.data(), batch.targets.data(), sequences, length, 1.0f / static_cast<float>(tokens));
  }
  model.setObserver(nullptr);
  MetricsRow row;
  row.step = step;
  row.tokens = step * tokens;
  row.trainLoss = loss / static_cast<double>(tokens);
  row.gradNorm = gradientNorm(model.parameters);
  row.learningRate = learningRateAt(options.optimizer, step);
  if (!std::isfinite(row.trainLoss) || !std::isfinite(row.gradNorm))
    throw std::runtime_error(fmt::format("training diverged at step {}: loss {}, gradient norm {}; try a smaller --lr or a longer "
                                         "--warmup{}",
                                         step, row.trainLoss, row.gradNorm,
                                         fs::exists(inOut("checkpoint.bin")) ? " (the last checkpoint is kept)" : ""));
  adamwStep(model.parameters, options.optimizer, step, row.gradNorm);
  model.refreshWeights(static_cast<uint64_t>(step * options.microBatches));
  if (measured)
    health->write(step);
  return row;
}

double Trainer::validate() {
  int64_t length = options.shape.context, sequences = options.batch / options.microBatches;
  int64_t total = std::min(options.evalSequences, data.validationSequences());
  double loss = 0.0;
  for (int64_t first = 0; first < total; first += sequences) {
    Batch batch = data.validationBatch(first, std::min(sequences, total - first), total);
    loss += model.forward(batch.ids.data(), batch.targets.data(), batch.sequences, length);
  }
  return loss / static_cast<double>(total * length);
}

bool Trainer::run(const std::atomic<bool> &stop) {
  using Clock = std::chrono::steady_clock;
  int64_t steps = options.optimizer.steps, tokens = options.batch * options.shape.context;
  double secondsBefore = state.seconds;
  Clock::time_point start = Clock::now();
  Progress progress(state.step, steps, options.quiet);
  auto pastStop = [&] { return options.stopAfter > 0 && state.step >= options.stopAfter; };
  bool stopped = pastStop();
  while (state.step < steps && !stopped) {
    int64_t step = state.step + 1;
    MetricsRow row = trainStep(step);
    if (evaluatesAt(step))
      row.validationLoss = validate();
    row.seconds = secondsBefore + std::chrono::duration<double>(Clock::now() - start).count();
    metrics->append(formatRow(row));
    state = {step, row.seconds};
    progress.update(row, tokens);
    stopped = stop.load() || pastStop();
    if (step == steps || stopped || (options.checkpointEvery > 0 && step % options.checkpointEvery == 0))
      saveCheckpoint(inOut("checkpoint.bin"), identityOf(options, data), state, model.parameters);
  }
  std::vector<MetricsRow> rows = readMetrics(inOut("metrics.csv"));
  replaceFile(inOut("curves.svg"), drawCurves(rows, fmt::format("{} seed {}", options.recipe, options.seed)));
  if (health && !options.quiet)
    health->printTable();
  if (state.step == steps)
    finish(rows);
  return state.step == steps;
}

/// result.json: what a run came to; it exists only once the last step is done.
void Trainer::finish(const std::vector<MetricsRow> &rows) {
  const MetricsRow &last = rows.back();
  double tokensPerByte = static_cast<double>(data.validation.size()) / static_cast<double>(data.validationBytes);
  nlohmann::json result = {{"identity", identityOf(options, data)},
                           {"device", options.device},
                           {"parameters", model.parameterCount()},
                           {"steps", last.step},
                           {"tokens", last.tokens},
                           {"train_loss", last.trainLoss},
                           {"val_loss", last.validationLoss},
                           {"val_bits_per_byte", last.validationLoss * tokensPerByte / std::log(2.0)},
                           {"seconds", last.seconds}};
  replaceFile(inOut("result.json"), result.dump(2) + "\n");
  if (!options.quiet)
    fmt::print("{}: validation loss {:.4f} nats a token ({:.3f} bits a byte) after {} steps in {:.1f} s\n", options.recipe,
               last.validationLoss, last.validationLoss * tokensPerByte / std::log(2.0), last.step, last.seconds);
}

} // namespace traingpt
