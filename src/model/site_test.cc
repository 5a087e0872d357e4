#include "model/site.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace safesail {
namespace {

TEST(Site, RoundTrips) {
  for (const char* text :
       {"resid_pre.0", "attn_out.3", "mlp_in.1", "mlp_out.17", "mlp_post.17", "resid_post.29"})
    EXPECT_EQ(to_string(parse_site(text, 30)), text);
}

TEST(Site, ListKeepsItsOrderAndExpandsStars) {
  const std::vector<Site> sites = parse_sites("resid_post.2, mlp_out.*,attn_out.0", 3);
  const std::vector<Site> expected{{SiteKind::resid_post, 2},
                                   {SiteKind::mlp_out, 0},
                                   {SiteKind::mlp_out, 1},
                                   {SiteKind::mlp_out, 2},
                                   {SiteKind::attn_out, 0}};
  EXPECT_EQ(sites, expected);
}

TEST(Site, RefusesWhatIsNoSite) {
  for (const char* text : {"", "mlp_out", "mlp_out.", "mlp_out.x", "mlp_out.-1", "mlp_out.1x",
                           "mlp.1", "mlp_out.30", "mlp_out.99999999999", "mlp_out.*"})
    EXPECT_THROW(parse_site(text, 30), Error) << text;
  for (const char* text : {"", "mlp_out.1,", "mlp_out.1,mlp_out.1", "mlp_out.*,mlp_out.2"})
    EXPECT_THROW(parse_sites(text, 30), Error) << text;
}

TEST(Site, ErrorSaysWhichLayersThereAre) {
  try {
    parse_site("mlp_out.30", 30);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("0 to 29"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace safesail
