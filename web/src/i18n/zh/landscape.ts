import type { landscape as en } from '../en/landscape';

export const landscape: Record<keyof typeof en, string> = {};
