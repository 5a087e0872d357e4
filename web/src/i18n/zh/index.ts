import { common } from './common';
import { inspect } from './inspect';
import { compare } from './compare';
import { atlas } from './atlas';
import { feature } from './feature';
import { landscape } from './landscape';
import { runs } from './runs';
import { trace } from './trace';

export const zh = {
  ...common,
  ...inspect,
  ...compare,
  ...atlas,
  ...feature,
  ...landscape,
  ...runs,
  ...trace,
};
