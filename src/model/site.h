// A site: the place in a decoder whose value is read or written, as "mlp_out.17". See docs/sites.md
// for the Hugging Face module and the TransformerLens hook of each.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace safesail {

enum class SiteKind {
  resid_pre,  ///< the residual stream before layer L
  attn_out,   ///< output of the attention's last projection, before any post-norm
  mlp_in,     ///< input of the MLP: after its norm
  mlp_out,  ///< output of the MLP's last projection, before any post-norm and the residual addition
  mlp_post,    ///< the same after the post-norm where the family has one (Gemma 2 and 3); else as
               ///< mlp_out
  resid_post,  ///< the residual stream after layer L
};

struct Site {
  SiteKind kind = SiteKind::mlp_out;
  int layer = 0;
  auto operator<=>(const Site&) const = default;
};

/// "mlp_out.17"
std::string to_string(const Site& site);
/// The site that a text from a file names, of a model that is not known; nothing where it names
/// none.
std::optional<Site> find_site(std::string_view text);
/// Throws an input error that lists the kinds; the layer is checked against `n_layers`.
Site parse_site(std::string_view text, int n_layers);
/// Comma-separated; "mlp_out.*" means every layer. Order kept, repeats refused.
std::vector<Site> parse_sites(std::string_view text, int n_layers);

}  // namespace safesail
