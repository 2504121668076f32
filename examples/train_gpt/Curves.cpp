// Loss curves as SVG.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Curves.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace traingpt {
namespace {

constexpr double kWidth = 760, kHeight = 440, kLeft = 60, kRight = 20, kTop = 44, kBottom = 50;

struct Point {
  double x, y;
};

struct Frame {
  double x0, x1, y0, y1;
  Point place(Point p) const {
    return {kLeft + (p.x - x0) / (x1 - x0) * (kWidth - kLeft - kRight),
            kHeight - kBottom - (p.y - y0) / (y1 - y0) * (kHeight - kTop - kBottom)};
  }
};

/// A step of 1, 2 or 5 times a power of ten that cuts `span` into about six.
double tickStep(double span) {
  double power = std::pow(10.0, std::floor(std::log10(span / 6.0)));
  for (double factor : {1.0, 2.0, 5.0})
    if (span / (factor * power) <= 8.0)
      return factor * power;
  return 10.0 * power;
}

std::string line(const Frame &frame, const std::vector<Point> &points, const char *style) {
  std::string path;
  for (Point point : points) {
    Point p = frame.place(point);
    path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", p.x, p.y);
  }
  return fmt::format("<polyline fill=\"none\" {} points=\"{}\"/>\n", style, path);
}

std::string escape(const std::string &text) {
  std::string out;
  for (char c : text)
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return out;
}

std::string axes(const Frame &f) {
  std::string svg;
  double stepX = tickStep(f.x1 - f.x0), stepY = tickStep(f.y1 - f.y0);
  for (double y = std::ceil(f.y0 / stepY) * stepY; y <= f.y1 + 1e-9; y += stepY) {
    Point a = f.place({f.x0, y}), b = f.place({f.x1, y});
    svg += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n", a.x, a.y, b.x, b.y);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:.4g}</text>\n", a.x - 6, a.y + 4, y);
  }
  for (double x = std::ceil(f.x0 / stepX) * stepX; x <= f.x1 + 1e-9; x += stepX) {
    Point p = f.place({x, f.y0});
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.6g}</text>\n", p.x, p.y + 18, x);
  }
  return svg;
}

} // namespace

std::string drawCurves(const std::vector<MetricsRow> &rows, const std::string &title) {
  std::vector<Point> train, smooth, validation;
  double mean = 0.0, low = 1e30, high = 0.0;
  for (size_t i = 0; i < rows.size(); ++i) {
    double step = static_cast<double>(rows[i].step);
    // Steps of bf16 training jump by a few per cent: the running mean over about 20 shows the trend.
    mean = i == 0 ? rows[i].trainLoss : mean + std::max(0.05, 1.0 / static_cast<double>(i + 1)) * (rows[i].trainLoss - mean);
    train.push_back({step, rows[i].trainLoss});
    smooth.push_back({step, i == 0 ? rows[i].trainLoss : mean});
    low = std::min(low, rows[i].trainLoss);
    high = std::max(high, rows[i].trainLoss);
    if (!std::isnan(rows[i].validationLoss)) {
      validation.push_back({step, rows[i].validationLoss});
      low = std::min(low, rows[i].validationLoss);
      high = std::max(high, rows[i].validationLoss);
    }
  }
  double margin = std::max(1e-3, 0.04 * (high - low));
  Frame frame{0.0, rows.empty() ? 1.0 : std::max(1.0, train.back().x), rows.empty() ? 0.0 : low - margin,
              rows.empty() ? 1.0 : high + margin};
  std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
                                "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n"
                                "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n"
                                "<text x=\"{2}\" y=\"22\" font-size=\"14\">{3}</text>\n",
                                kWidth, kHeight, kLeft, escape(title));
  svg += axes(frame);
  svg += line(frame, train, "stroke=\"#9bbbd8\" stroke-width=\"0.7\"");
  svg += line(frame, smooth, "stroke=\"#1f6fb2\" stroke-width=\"1.8\"");
  svg += line(frame, validation, "stroke=\"#c8501e\" stroke-width=\"2\"");
  svg += fmt::format("<text x=\"{0}\" y=\"{1}\" text-anchor=\"middle\">step</text>\n", (kLeft + kWidth - kRight) / 2, kHeight - 12);
  svg += fmt::format("<text x=\"{0}\" y=\"38\">nats a token: <tspan fill=\"#1f6fb2\">training</tspan>, "
                     "<tspan fill=\"#c8501e\">validation</tspan></text>\n",
                     kLeft);
  return svg + "</svg>\n";
}

} // namespace traingpt
