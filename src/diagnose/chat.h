// A chat under way in the engine: turns what a pass did for its sequence into events.
//
// Used by the engine's thread alone; the subject must outlive it.
#pragma once

#include <functional>
#include <vector>

#include "diagnose/engine.h"
#include "diagnose/feature_reader.h"
#include "text/stream_decoder.h"

namespace at {
class Tensor;
}

namespace safesail {

class Chat {
 public:
  using Give = std::function<void(EngineEvent)>;
  Chat(const Subject& subject, EngineRequest request, Give give);
  ~Chat();

  /// The sequence that answers it, for a generator that reads sites_of(subject). It goes on for one
  /// token more than was asked for, which is thrown away: only the pass that makes it reads the
  /// last token that was asked for.
  std::vector<std::int32_t> prompt_ids() const;
  SequenceConfig sequence() const;

  /// False when the chat is over.
  bool take(const SequenceStep& step, const std::vector<at::Tensor>& sites);

 private:
  void start(std::vector<at::Tensor> rows);
  /// Encodes the rows that wait and gives their features.
  void flush();
  void end(SequenceEnd how);

  const Subject& subject_;
  const TraceOptions options_;
  const SequenceConfig config_;
  const Give give_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  FeatureReader reader_;
  StreamDecoder decoder_;
  TracePrompt text_;  ///< prompt and answer
  std::size_t n_prompt_, n_read_ = 0,
                         n_given_ = 0;            ///< tokens; features in the list
  std::vector<std::vector<at::Tensor>> waiting_;  ///< a site: rows of tokens not encoded yet
};

}  // namespace safesail
