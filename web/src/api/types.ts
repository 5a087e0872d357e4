// The server's contract, /api/v1. Unknown numbers are null; offsets are UTF-8 bytes.

export type ErrorCode =
  | 'bad_request'
  | 'not_found'
  | 'unauthorized'
  | 'forbidden'
  | 'too_large'
  | 'unsupported_media_type'
  | 'busy'
  | 'unavailable'
  | 'internal';

export interface ErrorBody {
  code: ErrorCode;
  message: string;
  remedy: string;
}

export interface Health {
  status: 'ok';
  version: string;
  model: string | null;
  n_saes: number;
  atlas: boolean;
  run: boolean;
  queue: { waiting: number; active: number; capacity: number };
}

export interface Model {
  name: string;
  family: string;
  n_layers: number;
  d_model: number;
  vocab_size: number;
  max_positions: number;
  dtype: string;
  chat: boolean;
}

export interface Sae {
  name: string;
  site: string;
  layer: number;
  architecture: string;
  n_features: number;
  k: number;
  n_in_atlas: number;
  /** The model is read with it. */
  traced: boolean;
}

export interface FeatureIdentity {
  name: string;
  sae: string;
  site: string;
  layer: number;
  index: number;
}

export interface FeatureLine extends FeatureIdentity {
  id: number;
  status: string;
  score: number | null;
  density: number | null;
  max_activation: number | null;
  effect: number | null;
  explainer: string | null;
  language: string | null;
  explanation_status: string | null;
  explanation: string | null;
  domains: string[];
}

export interface FeaturePage {
  total: number;
  offset: number;
  features: FeatureLine[];
}

export type FeatureOrder =
  'score' | 'density' | 'max_activation' | 'place' | 'effect' | 'relevance';

export interface FeatureQuery {
  /** At most 500, separated by commas. */
  ids?: string | undefined;
  text?: string | undefined;
  /** Names separated by commas: features of one of them. */
  domains?: string | undefined;
  subclass?: string | undefined;
  sae?: string | undefined;
  site?: string | undefined;
  layer?: number | undefined;
  min_score?: number | undefined;
  max_score?: number | undefined;
  min_density?: number | undefined;
  max_density?: number | undefined;
  explained?: boolean | undefined;
  sufficient?: boolean | undefined;
  language?: string | undefined;
  order?: FeatureOrder | undefined;
  ascending?: boolean | undefined;
  offset?: number | undefined;
  limit?: number | undefined;
}

export interface Group {
  name: string;
  features: number;
  by_language?: Record<string, number>;
}

export interface Stats {
  features: number;
  explained: number;
  scored: number;
  insufficient: number;
  by_language: Record<string, number>;
  tagged: Group;
  domains: Group[];
  subclasses: Group[];
  layers: Group[];
  sites: Group[];
  saes: Group[];
  languages: string[];
}

export interface WeightedToken {
  id: number;
  text: string;
  weight: number;
}

/** `units` are byte ranges of the exemplar's text, one a value; null where they are not known. */
export interface Simulation {
  exemplar: number;
  values: (number | null)[];
  units?: [number, number][] | null;
}

export interface Difference {
  value: number | null;
  interval: [number | null, number | null];
}

export interface Score {
  scorer: string;
  simulator: string;
  prompt_hash: string;
  seed: number;
  value: number | null;
  low: number | null;
  high: number | null;
  floor: number | null;
  n_windows: number;
  n_units: number;
  n_unparsable: number;
  n_refused: number;
  n_failed: number;
  /** Of the questions that were asked: scores of unlike questions are not comparable. */
  questions?: string;
  /** What the lexical baseline gets from the same questions. */
  baseline?: Difference | null;
  /** Of the score less its floor, and less the baseline: both answered the same questions. */
  above_floor?: Difference | null;
  above_baseline?: Difference | null;
  /** For people: why there is no value. */
  reason?: string | null;
  details: unknown;
  simulations: Simulation[];
}

export interface Explanation {
  explainer: string;
  model: string;
  language: string;
  prompt_hash: string;
  seed: number;
  status: string;
  text: string;
  long_text: string;
  /** The answer of the explainer's model as it came; empty where none was kept. */
  raw: string;
  /** For people: why there is no text. */
  reason?: string | null;
  cost: Record<string, number | string> | null;
  scores: Score[];
}

export interface Exemplar {
  use: 'explain' | 'calibrate' | 'test';
  kind: 'top' | 'level' | 'silent' | 'hard_token' | 'hard_cofiring';
  level: number;
  /** hash of its text */
  document: string;
  position: number;
  text: string;
  ids: number[];
  starts: number[];
  activation: number[];
}

export interface PairMetric {
  concept: string;
  language: string;
  f: number | null;
  reverse: number | null;
  p: number | null;
  q: number | null;
  effect: number | null;
  n: number;
  /** under false discovery control */
  accepted: boolean;
  /** on pairs that had no part in choosing it; null: not tried */
  held_out: {
    n_pairs: number;
    auroc_twins: Interval;
    auroc_others: Interval;
    top_token: string;
    /** without the pairs in which it reaches its maximum at its top token */
    auroc_without: Interval;
    n_without: number;
    one_word: boolean;
    replicates: boolean;
    specific: boolean;
  } | null;
}

export interface FeatureEntry extends FeatureIdentity {
  id: number;
  model: string;
  status: string;
  score: number | null;
  effect: number | null;
  quantile: number | null;
  density: number | null;
  n_tokens: number;
  n_active: number;
  /** of the corpus; empty where that is not known */
  parts: { part: string; n_tokens: number; n_active: number }[];
  max_activation: number | null;
  histogram: number[];
  n_firing_windows: [number, number, number];
  fires_on: WeightedToken[];
  promoted: WeightedToken[];
  suppressed: WeightedToken[];
  nearest: (FeatureLine & { cosine: number })[];
  tags: { domain: string; subclass: string; source: string; evidence: unknown }[];
  domains: string[];
  pair_metrics: PairMetric[];
  explanations: Explanation[];
  exemplars: Exemplar[];
}

export interface ExplanationPrompt {
  prompt_hash: string;
  name: string;
  text: string;
}

/** Columns: entry i of each is one feature. `domain` is a bit mask over `domain_names`. */
export interface Landscape {
  n: number;
  ids: number[];
  x: number[];
  y: number[];
  layer: number[];
  domain: number[];
  score: (number | null)[];
  sae: number[];
  index: number[];
  domain_names: string[];
  sae_names: string[];
}

export interface Interval {
  value: number | null;
  low: number | null;
  high: number | null;
}

export interface RunCell {
  sae: string;
  site: string;
  layer: number;
  architecture: string;
  k: number;
  n_features: number;
  fvu: Interval;
  l0: Interval;
  delta_ce: Interval;
  kl: Interval;
  loss_recovered: Interval;
  seed: number;
  dead_share: number | null;
}

export interface SelectionMetric {
  sae: string;
  concept: string;
  language: string;
  i_cdf: Interval;
  null: Interval;
  reverse: Interval;
  p: number | null;
  n_pairs: number;
  l0t: {
    t: number;
    value: number | null;
    low: number | null;
    high: number | null;
    null: number | null;
    null_low: number | null;
    null_high: number | null;
  }[];
  n_accepted: number;
}

export interface Configuration {
  architecture: string;
  k: number;
  n_features: number;
  seed: number;
}

/** of accepted features, a feature and concept each, on pairs that had no part in choosing them */
export interface Precision {
  accepted: number;
  replicated: number;
  /** null: of none */
  share_replicated: Interval | null;
  specific: number;
  share_specific: Interval | null;
}

export interface Selection {
  chosen: Configuration;
  ranking: (Configuration & {
    excess: number | null;
    excess_interval: [number, number] | null;
    fvu: number | null;
    l0: number | null;
    n_sites: number;
  })[];
  reason: string;
  precision: Precision | null;
  /** in SAEs of random directions */
  floor: Precision | null;
  concepts: string[];
  metrics: SelectionMetric[];
}

export interface Run {
  name: string;
  cells: RunCell[];
  selection: Selection | null;
  curves: { sae: string; tokens: number[]; loss: number[]; fvu: number[]; l0: number[] }[];
}

export interface TraceFeature extends FeatureIdentity {
  id: number | null;
  explanation: Record<string, string>;
  score: number | null;
  domains: string[];
  quantile: number | null;
}

export interface Firing {
  feature: number;
  activation: number;
  normalised: number | null;
}

/** `template` is what stands around messages, `text` all of a text without any. */
export type Role = 'system' | 'user' | 'assistant' | 'template' | 'text';

export interface Token {
  position: number;
  id: number;
  text: string;
  start: number;
  end: number;
  role: Role;
  part: 'query' | 'response';
  special: boolean;
  features: Firing[];
}

export interface Trace {
  model: string;
  text: string;
  features: TraceFeature[];
  tokens: Token[];
  seconds: number;
}

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface TraceOptions {
  domains?: string[] | undefined;
  min_score?: number | undefined;
  top_n?: number | undefined;
  saes?: string[] | undefined;
  unlisted?: boolean | undefined;
  mask_special?: boolean | undefined;
}

export interface Sampling {
  max_tokens?: number | undefined;
  temperature?: number | undefined;
  top_k?: number | undefined;
  top_p?: number | undefined;
  seed?: number | undefined;
}

export type TraceRequest = TraceOptions &
  ({ text: string } | { messages: Message[]; add_generation_prompt?: boolean });

export type ChatRequest = TraceOptions & Sampling & { messages: Message[] };

export type ComparePrompt = { label: string } & ({ text: string } | { messages: Message[] });

export type CompareRequest = TraceOptions & Sampling & { prompts: ComparePrompt[] };

/** By prompt; null where it has no token that counts. */
type ByPrompt = (number | null)[];

export interface ComparedFeature extends TraceFeature {
  /** Of as many tokens as the shortest prompt has: does not grow with the number of tokens. */
  expected_max: ByPrompt;
  max: ByPrompt;
  /** Of that token; -1 where there is none. */
  max_position: number[];
}

export interface DomainAtLayer {
  domain: string;
  layer: number;
  expected_max: ByPrompt;
  max: ByPrompt;
  mean: ByPrompt;
}

export interface ComparedPart {
  n_tokens: number[];
  /** Tokens that `expected_max` is of. */
  n_drawn: number;
  features: ComparedFeature[];
  domains_by_layer: DomainAtLayer[];
}

export interface Comparison {
  traces: (Trace & { label: string; response: string })[];
  question: ComparedPart;
  answer: ComparedPart | null;
}

export type ChatEvent =
  | { event: 'queued'; data: { position: number } }
  | { event: 'start'; data: Omit<Trace, 'seconds'> }
  | {
      event: 'token';
      data: Pick<Token, 'position' | 'id' | 'text' | 'start' | 'end'> &
        Partial<Pick<Token, 'role' | 'part' | 'special'>>;
    }
  | {
      event: 'features';
      data: { new: TraceFeature[]; tokens: { position: number; features: Firing[] }[] };
    }
  | {
      event: 'end';
      data: {
        reason: 'stop' | 'length' | 'cancelled';
        n_prompt: number;
        n_new: number;
        seconds: number;
      };
    }
  | { event: 'error'; data: { error: ErrorBody } };
