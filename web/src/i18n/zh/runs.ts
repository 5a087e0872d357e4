import type { runs as en } from '../en/runs';

export const runs: Record<keyof typeof en, string> = {};
