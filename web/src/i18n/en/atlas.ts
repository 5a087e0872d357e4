export const atlas = {} as const;
