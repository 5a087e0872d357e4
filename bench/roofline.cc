// What the machine can do at the shapes we work with, as one JSON line a case: the bare matrix
// products of a model's prefill and of an SAE's encoder, and the memory's reading speed. Nothing
// of ours is in the loop, so these are the limits to hold our own numbers against.
//   bench_roofline MODEL [SHAPE...]     SHAPE: d,F,k,B of an SAE, e.g. 2048,20480,200,4096
#include <ATen/ATen.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/read_spec.h"

namespace {

using namespace safesail;

template <class Body>
double median_seconds(const Body& body) {
  constexpr int kRepeats = 5;
  body();
  std::vector<double> seconds;
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    body();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::sort(seconds);
  return seconds[kRepeats / 2];
}

void report(const std::string& name, std::int64_t n_tokens, double flop, double seconds) {
  fmt::print("{{\"case\": \"{}\", \"tokens_per_s\": {:.0f}, \"gflop_per_s\": {:.0f}}}\n", name,
             double(n_tokens) / seconds, 1e-9 * flop / seconds);
  std::fflush(stdout);
}

/// Weights of every layer, each its own memory as in a model, so that the caches see the same.
struct Products {
  std::vector<at::Tensor> layers, head;  ///< [out, in]
  std::int64_t parameters = 0;
};

Products products_of(const ModelSpec& spec) {
  Products products;
  const auto add = [&](std::vector<at::Tensor>& to, std::int64_t out, std::int64_t in) {
    to.push_back(at::randn({out, in}).to(at::kBFloat16));
    products.parameters += out * in;
  };
  for (std::int64_t layer = 0; layer < spec.n_layers; ++layer) {
    add(products.layers, spec.qkv_dim(), spec.d_model);
    add(products.layers, spec.d_model, spec.q_dim());
    add(products.layers, (spec.gated_mlp ? 2 : 1) * spec.d_ff, spec.d_model);
    add(products.layers, spec.d_model, spec.d_ff);
  }
  add(products.head, spec.vocab_size, spec.d_model);
  return products;
}

void prefill(const Products& products, std::int64_t n_tokens, bool with_head) {
  std::vector<at::Tensor> weights = products.layers;
  if (with_head) weights.push_back(products.head.front());
  double flop = 0;
  std::vector<at::Tensor> x, y;
  for (const at::Tensor& w : weights) {
    const auto same = [&](const at::Tensor& t) { return t.size(1) == w.size(1); };
    if (std::ranges::none_of(x, same))
      x.push_back(at::randn({n_tokens, w.size(1)}).to(at::kBFloat16));
    flop += 2.0 * double(n_tokens) * double(w.numel());
  }
  const double seconds = median_seconds([&] {
    for (const at::Tensor& w : weights) {
      const auto same = [&](const at::Tensor& t) { return t.size(1) == w.size(1); };
      at::matmul(*std::ranges::find_if(x, same), w.t());
    }
  });
  report(fmt::format("products of {} tokens, {}", n_tokens, with_head ? "all logits" : "no logits"),
         n_tokens, flop, seconds);
}

void encoder(const std::string& shape) {
  long long d = 0, n_features = 0, batch = 0;
  if (std::sscanf(shape.c_str(), "%lld,%lld,%*d,%lld", &d, &n_features, &batch) != 3)
    bad_input("arguments", fmt::format("expected d,F,k,B, got '{}'", shape),
              "e.g. 2048,20480,200,4096");
  for (const auto dtype : {at::kBFloat16, at::kFloat}) {
    const at::Tensor z = at::randn({batch, d}).to(dtype);
    const at::Tensor w = at::randn({n_features, d}).to(dtype);
    const double seconds = median_seconds([&] { at::matmul(z, w.t()); });
    report(fmt::format("encoder {} {}", shape, dtype == at::kFloat ? "f32" : "bf16"), batch,
           2.0 * double(batch) * double(d) * double(n_features), seconds);
  }
}

double read_bytes_per_second() {
  const at::Tensor data = at::ones({std::int64_t{128} << 20}, at::kFloat);  // 512 MiB
  const double seconds = median_seconds([&] { at::dot(data, data); });
  return double(data.nbytes()) / seconds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: bench_roofline MODEL [d,F,k,B...]\n");
    return 2;
  }
  try {
    const Products products = products_of(read_spec(argv[1]));
    for (const bool with_head : {true, false})
      for (const std::int64_t n_tokens : {1024, 2048, 4080})
        if (!with_head || n_tokens <= 2048) prefill(products, n_tokens, with_head);
    // A decoded token reads every weight once.
    const double speed = read_bytes_per_second();
    fmt::print("{{\"case\": \"weights read\", \"tokens_per_s\": {:.0f}, \"gb_per_s\": {:.1f}}}\n",
               speed / (2.0 * double(products.parameters)), 1e-9 * speed);
    for (int i = 2; i < argc; ++i) encoder(argv[i]);
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
