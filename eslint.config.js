// Lint rules: type-aware checks, and the direction of imports between the layers of src/ (see ARCHITECTURE.md).

import js from '@eslint/js'
import {defineConfig, globalIgnores} from 'eslint/config'
import tseslint from 'typescript-eslint'

const PACKAGES = {
  koffi: {group: ['koffi', 'koffi/*'], message: 'Only src/ffi calls C.'},
  render: {group: ['chalk', 'cli-table3', 'listr2'], message: 'Only src/render draws on the terminal.'},
  oclif: {group: ['@oclif/*'], message: 'Only src/cli and src/commands know oclif.'},
  config: {group: ['ajv', 'ajv/*', 'cosmiconfig', 'yaml'], message: 'Only src/config reads configuration files.'},
  node: {group: ['node:*'], message: 'This file is pure: same input, same output.'},
}

/** Imports of a sibling folder of src/. Types may be imported from anywhere that `typesToo` does not name. */
const folder = (name, typesToo = false) => ({
  group: [`**/${name}/**`],
  allowTypeImports: !typesToo,
  message: `This layer stands below src/${name}, or beside it.`,
})

const layer = (files, ...patterns) => ({
  files,
  rules: {'@typescript-eslint/no-restricted-imports': ['error', {patterns}]},
})

const {koffi, render, oclif, config, node} = PACKAGES
const above = [folder('commands', true), folder('cli', true)]

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

  // Layers, from the bottom up. Of several blocks that match a file the last one counts.
  layer(['src/*.ts'], koffi, render, oclif, config),
  layer(
    ['src/kernel/**/*.ts'],
    node,
    koffi,
    render,
    oclif,
    config,
    ...above,
    ...['intercept', 'container', 'config', 'render', 'ffi'].map((name) => folder(name)),
  ),
  layer(
    ['src/ffi/**/*.ts'],
    render,
    oclif,
    config,
    ...above,
    ...['intercept', 'container', 'config', 'render'].map((name) => folder(name)),
  ),
  layer(
    ['src/intercept/**/*.ts'],
    koffi,
    render,
    oclif,
    config,
    ...above,
    ...['container', 'config', 'render'].map((name) => folder(name)),
  ),
  layer(
    [
      'src/flag.ts',
      'src/intercept/{family,policy,preparation,decision,combine,container}.ts',
      'src/intercept/families/*/policy.ts',
      'src/intercept/filter/{filter,bpf-vm}.ts',
      'src/intercept/caller/argument-kinds.ts',
      'src/intercept/**/*decide*.ts',
    ],
    node,
    koffi,
    render,
    oclif,
    config,
    ...above,
    ...['ffi', 'container', 'config', 'render'].map((name) => folder(name)),
  ),
  layer(
    ['src/container/**/*.ts'],
    koffi,
    render,
    oclif,
    config,
    ...above,
    ...['config', 'render'].map((name) => folder(name)),
  ),
  layer(
    ['src/config/**/*.ts'],
    koffi,
    render,
    oclif,
    ...above,
    ...['ffi', 'container', 'render'].map((name) => folder(name)),
  ),
  layer(['src/render/**/*.ts'], koffi, oclif, config, ...above, ...['ffi', 'config'].map((name) => folder(name))),
  layer(['src/explain/**/*.ts'], koffi, render, oclif, config, ...above, folder('config')),
  layer(['src/check/**/*.ts'], koffi, render, oclif, config, ...above, folder('config')),
  layer(['src/{commands,cli}/**/*.ts'], koffi, render, config),

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
