export const landscape = {} as const;
