import type { feature as en } from '../en/feature';

export const feature: Record<keyof typeof en, string> = {};
