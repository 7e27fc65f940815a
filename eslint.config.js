// Lint rules: type-aware checks. .dependency-cruiser.cjs has the directions of imports.

import js from '@eslint/js'
import {defineConfig, globalIgnores} from 'eslint/config'
import tseslint from 'typescript-eslint'

export default defineConfig(
  globalIgnores(['dist/', 'node_modules/', 'coverage/', 'native/build/', 'rootfs/', 'prebuilds/']),
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {parserOptions: {projectService: true, tsconfigRootDir: import.meta.dirname}},
    linterOptions: {reportUnusedDisableDirectives: 'error'},
    rules: {
      eqeqeq: 'error',
      'max-lines': ['error', {max: 400}],
      'no-console': 'error',
      'no-restricted-exports': ['error', {restrictDefaultExports: {direct: true, named: true, defaultFrom: true}}],
      'object-shorthand': 'error',
      'prefer-template': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', {fixStyle: 'separate-type-imports'}],
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      '@typescript-eslint/no-unused-vars': ['error', {argsIgnorePattern: '^_', varsIgnorePattern: '^_'}],
      '@typescript-eslint/restrict-template-expressions': ['error', {allowNumber: true, allowBoolean: true}],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', {considerDefaultExhaustiveForUnions: true}],
      // A C call's result is often dropped on purpose in one arrow.
      '@typescript-eslint/no-confusing-void-expression': ['error', {ignoreArrowShorthand: true}],
      // `!` after an index that was just checked reads better than a branch that can't be reached; tests show the rest.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Bits of the kernel are compared and combined as numbers.
      'no-bitwise': 'off',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {'max-lines-per-function': ['error', {max: 70, skipBlankLines: true, skipComments: true}]},
  },

  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      'no-console': 'off',
      // mocha's this.skip() and this.timeout(), and describe() callbacks that return nothing.
      '@typescript-eslint/no-floating-promises': ['error', {allowForKnownSafeCalls: []}],
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-empty-function': 'off',
    },
  },
  {
    // Plain Node programs outside the TypeScript project: set-up, bin, examples, this file.
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      parserOptions: {projectService: false},
      globals: {
        Buffer: 'readonly',
        URL: 'readonly',
        clearTimeout: 'readonly',
        console: 'readonly',
        process: 'readonly',
        setTimeout: 'readonly',
        structuredClone: 'readonly',
      },
    },
    rules: {'no-console': 'off', 'no-restricted-exports': 'off'},
  },
  {
    // Node starts them without its loader of ES modules.
    files: ['bin/*.js', '**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: {__dirname: 'readonly', __filename: 'readonly', module: 'readonly', require: 'readonly'},
    },
    rules: {'@typescript-eslint/no-require-imports': 'off'},
  },
)
