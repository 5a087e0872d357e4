import type { inspect as en } from '../en/inspect';

export const inspect: Record<keyof typeof en, string> = {};
