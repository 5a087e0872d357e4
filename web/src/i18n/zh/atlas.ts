import type { atlas as en } from '../en/atlas';

export const atlas: Record<keyof typeof en, string> = {};
