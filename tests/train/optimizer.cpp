// Optimizers against their formulas, written out for one number at a time.
#include "qkv/train/optimizer.h"

#include "qkv/train/orthogonalise.h"
#include "tests/train/tiny.h"

namespace qkv {
namespace {

using Kind = OptimizerOptions::Kind;

constexpr double beta1 = 0.8, beta2 = 0.9, eps = 1e-6, decay = 0.1, momentum = 0.7, lr = 0.01,
                 cut = 0.5;  // to this share of their norm

OptimizerOptions options(Kind kind) {
  return {.kind = kind, .beta1 = beta1, .beta2 = beta2, .eps = eps, .weight_decay = decay, .momentum = momentum};
}

double random_gradient(int step, size_t index) {
  return Random(RandomKey{static_cast<uint64_t>(step)}.child(index)).normal();
}

// One number's way: p and its two moments, changed by gradient g (already clipped) in step t.
struct Number {
  double p = 0, m = 0, v = 0;
};
using Rule = std::function<void(Number& x, double g, double weight_decay, int t)>;

// Three steps with random gradients; every parameter must follow the rule.
void expect_follows(Kind kind, const Rule& rule, const std::function<bool(Role)>& concerns = {}) {
  const auto model = tiny_model();
  Optimizer optimizer(*model, options(kind));
  std::vector<Number> numbers;
  std::vector<bool> concerned;
  std::vector<double> decays;
  model->visit([&](const std::string&, Tensor& value, Role role) {
    const bool matrix = role == Role::matrix || role == Role::residual_matrix || role == Role::embedding;
    for (const float p : value.to_vector<float>()) {
      numbers.push_back({p});
      concerned.push_back(!concerns || concerns(role));
      decays.push_back(matrix ? decay : 0);
    }
  });
  for (int step = 1; step <= 3; ++step) {
    size_t index = 0;
    double squares = 0;
    model->visit([&](const std::string&, Tensor& value, Role) {
      std::vector<float> g(static_cast<size_t>(value.numel()));
      for (float& x : g) {
        x = static_cast<float>(random_gradient(step, index++));
        squares += static_cast<double>(x) * x;
      }
      set_gradient(value, Tensor::from<float>(value.shape(), g, value.device()));
    });
    optimizer.step(lr, static_cast<float>(cut * std::sqrt(squares)));
    EXPECT_NEAR(optimizer.norm().item<double>(), std::sqrt(squares), 1e-5 * std::sqrt(squares));
    for (size_t i = 0; i < numbers.size(); ++i)
      rule(numbers[i], cut * static_cast<float>(random_gradient(step, i)), decays[i], step);
  }
  const std::vector<float> got = parameters_of(*model);
  double worst = 0;
  for (size_t i = 0; i < numbers.size(); ++i)
    if (concerned[i]) worst = std::max(worst, std::abs(got[i] - numbers[i].p));
  EXPECT_LT(worst, 1e-6);
  EXPECT_EQ(optimizer.steps(), 3);
}

void adamw(Number& x, double g, double weight_decay, int t) {
  x.m = beta1 * x.m + (1 - beta1) * g;
  x.v = beta2 * x.v + (1 - beta2) * g * g;
  const double m = x.m / (1 - std::pow(beta1, t)), v = x.v / (1 - std::pow(beta2, t));
  x.p = x.p - lr * weight_decay * x.p - lr * m / (std::sqrt(v) + eps);
}

TEST(Optimizer, AdamW) { expect_follows(Kind::adamw, adamw); }

TEST(Optimizer, Lion) {
  expect_follows(Kind::lion, [](Number& x, double g, double weight_decay, int) {
    const double direction = beta1 * x.m + (1 - beta1) * g;
    x.m = beta2 * x.m + (1 - beta2) * g;
    x.p = x.p - lr * weight_decay * x.p - lr * (direction > 0 ? 1 : direction < 0 ? -1 : 0);
  });
}

TEST(Optimizer, SgdWithNesterovMomentum) {
  expect_follows(Kind::sgd, [](Number& x, double g, double weight_decay, int) {
    x.m = momentum * x.m + g;
    x.p = x.p - lr * weight_decay * x.p - lr * (g + momentum * x.m);
  });
}

TEST(Optimizer, MuonStepsAllButMatricesByAdamW) {
  expect_follows(Kind::muon, adamw, [](Role role) { return role != Role::matrix && role != Role::residual_matrix; });
}

TEST(Optimizer, MuonMovesMatricesAlongTheOrthogonalisedMomentum) {
  const auto model = tiny_model();
  Optimizer optimizer(*model, options(Kind::muon));
  std::vector<std::vector<float>> before;
  uint64_t index = 0;
  model->visit([&](const std::string&, Tensor& value, Role) {
    before.push_back(value.to_vector<float>());
    std::vector<float> g(static_cast<size_t>(value.numel()));
    Random random(RandomKey{9}.child(index++));
    for (float& x : g) x = static_cast<float>(random.normal());
    set_gradient(value, Tensor::from<float>(value.shape(), g, value.device()));
  });
  std::vector<Tensor> gradients;
  model->visit([&](const std::string&, Tensor& value, Role) { gradients.push_back(gradient(value)); });
  optimizer.step(lr, 0);
  size_t i = 0;
  model->visit([&](const std::string& name, Tensor& value, Role role) {
    const size_t at = i++;
    if (role != Role::matrix && role != Role::residual_matrix) return;
    // The first step's Nesterov direction is (1 + momentum) g, whose length orthogonalise() takes out.
    const std::vector<float> direction = orthogonalise(gradients[at]).to_vector<float>();
    const double rate = lr * 0.2 * std::sqrt(static_cast<double>(std::max(value.size(0), value.size(1))));
    const std::vector<float> got = value.to_vector<float>();
    for (size_t k = 0; k < got.size(); ++k)
      ASSERT_NEAR(got[k], before[at][k] * (1 - lr * decay) - rate * direction[k], 1e-5) << name;
  });
}

TEST(Optimizer, ParametersWithoutAGradientStay) {
  const auto model = tiny_model();
  Optimizer optimizer(*model, options(Kind::adamw));
  const std::vector<float> before = parameters_of(*model);
  optimizer.step(lr, 1);
  EXPECT_EQ(parameters_of(*model), before);
}

TEST(Optimizer, GradientsBelowTheirBoundAreNotCut) {
  std::vector<std::vector<float>> after;
  for (const float bound : {0.0F, 1e6F}) {
    const auto model = tiny_model();
    Optimizer optimizer(*model, options(Kind::sgd));
    model->visit([&](const std::string&, Tensor& value, Role) {
      set_gradient(value, Tensor::from<float>(value.shape(), std::vector<float>(value.numel(), 0.5F), value.device()));
    });
    optimizer.step(lr, bound);
    after.push_back(parameters_of(*model));
    optimizer.step(lr, bound);
    EXPECT_EQ(optimizer.norm().item(), 0) << "the gradients are gone";
  }
  EXPECT_EQ(after[0], after[1]);
}

TEST(Optimizer, MuonDoesNotRoundAtRandom) {
  const auto model = tiny_model();
  EXPECT_THROW(Optimizer(*model, {.kind = Kind::muon, .stochastic_rounding = true}), Error);
}

TEST(Optimizer, BrokenGradientsMoveNothing) {
  for (const Kind kind : {Kind::adamw, Kind::sgd, Kind::lion, Kind::muon})
    for (const float broken : {NAN, INFINITY}) {
      const auto model = tiny_model();
      Optimizer optimizer(*model, options(kind));
      const std::vector<float> before = parameters_of(*model);
      model->visit([&](const std::string&, Tensor& value, Role) {
        std::vector<float> g(static_cast<size_t>(value.numel()), 1.0F);
        g.back() = broken;
        set_gradient(value, Tensor::from<float>(value.shape(), g, value.device()));
      });
      optimizer.step(lr, 1);
      EXPECT_FALSE(std::isfinite(optimizer.norm().item()));
      EXPECT_EQ(parameters_of(*model), before);
      for (const auto& [name, value] : optimizer.state()) {
        if (name == "optimizer.steps") continue;
        EXPECT_EQ(value.to_vector<float>(), std::vector<float>(value.numel(), 0.0F)) << name;
      }
    }
}

// Singular values by one-sided Jacobi rotations of the rows.
std::vector<double> singular_values(const Tensor& matrix) {
  const size_t m = static_cast<size_t>(matrix.size(0)), n = static_cast<size_t>(matrix.size(1));
  const std::vector<float> values = matrix.to_vector<float>();
  std::vector<std::vector<double>> rows;
  for (size_t i = 0; i < m; ++i) rows.emplace_back(values.begin() + i * n, values.begin() + (i + 1) * n);
  const auto dot = [&](size_t i, size_t j) {
    double sum = 0;
    for (size_t k = 0; k < n; ++k) sum += rows[i][k] * rows[j][k];
    return sum;
  };
  for (int sweep = 0; sweep < 30; ++sweep)
    for (size_t i = 0; i < m; ++i)
      for (size_t j = i + 1; j < m; ++j) {
        const double off = dot(i, j);
        if (std::abs(off) < 1e-14) continue;
        const double angle = 0.5 * std::atan2(2 * off, dot(i, i) - dot(j, j));
        const double c = std::cos(angle), s = std::sin(angle);
        for (size_t k = 0; k < n; ++k) {
          const double a = rows[i][k], b = rows[j][k];
          rows[i][k] = c * a + s * b;
          rows[j][k] = c * b - s * a;
        }
      }
  std::vector<double> result;
  for (size_t i = 0; i < m; ++i) result.push_back(std::sqrt(dot(i, i)));
  return result;
}

TEST(Orthogonalise, SingularValuesEndNearOne) {
  for (const auto& [m, n] : {std::pair<int64_t, int64_t>{8, 8}, {6, 20}, {20, 6}, {1, 5}}) {
    std::vector<float> values;
    Random random(RandomKey{static_cast<uint64_t>(m * 100 + n)});
    for (int64_t i = 0; i < m * n; ++i) values.push_back(static_cast<float>(3 * random.normal()));
    const Tensor x = orthogonalise(Tensor::from<float>({m, n}, values));
    EXPECT_EQ(x.shape(), (Shape{m, n}));
    std::vector<double> singular = singular_values(m > n ? x.transpose(0, 1) : x);
    for (const double s : singular) {
      // The square case has one value that five iterations do not lift all the way.
      EXPECT_GT(s, m == n ? 0.3 : 0.65) << m << " x " << n;
      EXPECT_LT(s, 1.25) << m << " x " << n;
    }
  }
}

TEST(Orthogonalise, KeepsDirectionsAndForgetsLengths) {
  const Tensor g = Tensor::from<float>({2, 2}, {3, 0, 0, -2});
  const std::vector<float> x = orthogonalise(g).to_vector<float>();
  EXPECT_NEAR(x[0], 1, 0.35);
  EXPECT_NEAR(x[3], -1, 0.35);
  EXPECT_NEAR(x[1], 0, 1e-6);
  EXPECT_NEAR(x[2], 0, 1e-6);
  const Tensor zero = orthogonalise(Tensor::zeros({2, 3}));
  for (const float value : zero.to_vector<float>()) EXPECT_EQ(value, 0);
}

}  // namespace
}  // namespace qkv
