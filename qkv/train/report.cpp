#include "qkv/train/report.h"

#include "qkv/core/error.h"
#include "qkv/core/progress.h"
#include "qkv/models/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace qkv {
namespace {

struct Point {
  double step, value;
};
struct Curve {
  std::string name;
  std::string colour;
  std::vector<Point> points;
};

Curve curve_of(const std::vector<Json>& metrics, const char* key, std::string name, std::string colour) {
  Curve curve{std::move(name), std::move(colour), {}};
  for (const Json& line : metrics)
    if (line.contains(key) && line[key].is_number())
      curve.points.push_back({line.value("step", 0.0), line[key].get<double>()});
  return curve;
}

// A step of 1, 2 or 5 times a power of ten that gives about five marks.
double mark_step(double range) {
  const double rough = range / 5;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough) return factor * power;
  return 10 * power;
}

std::string mark(double value, double step) {
  if (std::abs(value) < step / 1e6) return "0";
  return std::abs(value) >= 1e5 ? short_count(value) : fmt::format("{:.5g}", value);
}

// The frame of a chart: from values to places.
struct Frame {
  static constexpr double width = 720, height = 300, left = 64, right = 16, top = 16, bottom = 48;
  double x0 = 0, x1 = 1;
  double y0 = std::numeric_limits<double>::max(), y1 = std::numeric_limits<double>::lowest();
  double x(double step) const { return left + (step - x0) / (x1 - x0) * (width - left - right); }
  double y(double value) const { return height - bottom - (value - y0) / (y1 - y0) * (height - top - bottom); }
};

// Holds in light and dark pages, also where the drawing stands alone.
constexpr const char* chart_style =
    "text{font:12px system-ui,sans-serif;fill:#666}.grid{stroke:#8884}path{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#9aa0a8}}";

std::string chart(const std::string& title, const std::vector<Curve>& curves, bool from_zero = false) {
  Frame frame;
  for (const Curve& curve : curves)
    for (const Point& point : curve.points) {
      frame.x1 = std::max(frame.x1, point.step);
      frame.y0 = std::min(frame.y0, point.value);
      frame.y1 = std::max(frame.y1, point.value);
    }
  if (frame.y0 > frame.y1) return "";
  const double margin = std::max(1e-12, (frame.y1 - frame.y0) * 0.05 + std::abs(frame.y1) * 1e-3);
  frame.y0 = from_zero ? 0 : frame.y0 - margin;
  frame.y1 += margin;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n"
      "<style>{}</style>\n",
      Frame::width, Frame::height, title, chart_style);
  const double dy = mark_step(frame.y1 - frame.y0);
  for (double v = std::ceil(frame.y0 / dy) * dy; v <= frame.y1; v += dy)
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>\n",
        Frame::left, Frame::width - Frame::right, frame.y(v), frame.y(v), Frame::left - 8, frame.y(v) + 4, mark(v, dy));
  const double dx = mark_step(frame.x1 - frame.x0);
  for (double v = 0; v <= frame.x1; v += dx)
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", frame.x(v),
                       Frame::height - Frame::bottom + 18, mark(v, dx));
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">step</text>\n",
                     (Frame::left + Frame::width - Frame::right) / 2, Frame::height - 8);
  double legend = Frame::width - Frame::right - 110.0 * static_cast<double>(curves.size());
  for (const Curve& curve : curves) {
    if (curve.points.empty()) continue;
    std::string path;
    for (const Point& point : curve.points)
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", frame.x(point.step), frame.y(point.value));
    svg += fmt::format("<path d=\"{}\" stroke=\"{}\"><title>{}</title></path>\n", path, curve.colour, curve.name);
    // Few points are marked, and tell their values under the pointer.
    if (curve.points.size() < 30)
      for (const Point& point : curve.points)
        svg += fmt::format(
            "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"><title>{} {:.4g} at step {:g}</title></circle>\n",
            frame.x(point.step), frame.y(point.value), curve.colour, curve.name, point.value, point.step);
    if (curves.size() > 1) {
      svg += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{:.1f}\" y=\"{}\">{}</text>\n",
          legend, Frame::top, curve.colour, legend + 18, Frame::top + 11, curve.name);
      legend += 110;
    }
  }
  return fmt::format("<h2>{}</h2>\n{}</svg>\n", title, svg);
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else {
      result += c;
    }
  }
  return result;
}

constexpr const char* style = R"(
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2em auto; padding: 0 1em; background: #fff; color: #1c1c1c; }
h1 { font-size: 1.4em; } h2 { font-size: 1.05em; margin: 1.6em 0 .4em; }
svg { width: 100%; height: auto; }
pre { background: #f5f5f5; padding: 1em; overflow-x: auto; font-size: 13px; }
td { padding: .1em 1.6em .1em 0; vertical-align: top; }
@media (prefers-color-scheme: dark) {
  body { background: #16181c; color: #e4e4e4; } pre { background: #20242a; }
})";

// What was trained; empty while the directory holds no model, or one that cannot be described.
std::string model_of(const RunDirectory& directory) {
  try {
    const Spec spec = spec_of(Config::read(directory.path()));
    return fmt::format("{}, {} parameters: {} layers, width {}, {} heads", family_named(spec.family, "report").name,
                       short_count(static_cast<double>(describe(spec).parameters)), spec.layers(), spec.width(),
                       spec.stack.block.attention.heads);
  } catch (const Error&) {
    return "";
  }
}

}  // namespace

void write_report(const RunDirectory& directory) {
  const std::vector<Json> metrics = directory.metrics_until(std::numeric_limits<int64_t>::max());
  const Curve train = curve_of(metrics, "train_loss", "training", "#2f7ed8");
  const Curve validation = curve_of(metrics, "val_loss", "validation", "#e0662f");
  std::string facts;
  const auto fact = [&](const std::string& name, const std::string& value) {
    facts += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", name, value);
  };
  if (const std::string model = model_of(directory); !model.empty()) fact("Model", model);
  if (!train.points.empty()) fact("Steps", fmt::format("{:g}", train.points.back().step));
  if (!train.points.empty()) fact("Training loss", fmt::format("{:.4f}", train.points.back().value));
  if (!validation.points.empty()) {
    const auto best = std::min_element(validation.points.begin(), validation.points.end(),
                                       [](const Point& a, const Point& b) { return a.value < b.value; });
    fact("Best validation loss",
         fmt::format("{:.4f} at step {:g} (perplexity {:.2f})", best->value, best->step, std::exp(best->value)));
  }
  const fs::path options = directory.path() / "run.toml";
  const std::string name = escaped(directory.path().filename().string());
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">"
      "<title>{} - qkv run</title><style>{}</style></head><body>\n<h1>Run {}</h1>\n<table>\n{}</table>\n",
      name, style, name, facts);
  page += chart("Loss", {train, validation});
  page += chart("Learning rate", {curve_of(metrics, "lr", "learning rate", "#3a9e5c")}, true);
  page += chart("Gradient norm", {curve_of(metrics, "grad_norm", "gradient norm", "#8a5cc4")}, true);
  page += chart("Tokens a second", {curve_of(metrics, "tokens_per_second", "tokens a second", "#b8860b")}, true);
  if (fs::exists(options)) page += fmt::format("<h2>Options</h2>\n<pre>{}</pre>\n", escaped(read_file(options)));
  write_file(directory.path() / "report.html", page + "</body></html>\n");
}

}  // namespace qkv
