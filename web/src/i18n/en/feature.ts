export const feature = {} as const;
