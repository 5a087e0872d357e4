import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

// Each layer imports only from layers before it.
const layers = ['api', 'i18n', 'shell', 'parts', 'charts', 'trace', 'pages'];
const layering = layers.slice(0, -1).map((layer, i) => ({
  files: [`src/${layer}/**`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: layers.slice(i + 1).map((later) => ({
          group: [`**/${later}/**`],
          message: `${layer} comes before ${later}`,
        })),
      },
    ],
  },
}));

export default ts.config(
  { ignores: ['node_modules', 'test-results'] },
  js.configs.recommended,
  ts.configs.recommended,
  svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
  },
  { rules: { 'no-undef': 'off', 'svelte/no-navigation-without-resolve': 'off' } },
  layering,
);
