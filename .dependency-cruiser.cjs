// The directions of imports, types included. `npm run lint` checks them; ARCHITECTURE.md has the picture.

/** Layers that are folders of src/, from the bottom up. Each imports itself and what stands here before it. */
const LAYERS = [
  {folder: 'kernel', imports: []},
  {folder: 'ffi', imports: ['kernel']},
  {folder: 'host', imports: ['kernel', 'ffi']},
  {folder: 'intercept', imports: ['kernel', 'ffi', 'host']},
  {folder: 'config', imports: ['kernel', 'host', 'intercept']},
  {folder: 'container', imports: ['kernel', 'ffi', 'host', 'intercept']},
  {folder: 'render', imports: ['kernel', 'host', 'intercept', 'container']},
  {folder: 'explain', imports: ['kernel', 'ffi', 'host', 'intercept', 'container', 'render']},
  {folder: 'check', imports: ['kernel', 'ffi', 'host', 'intercept', 'container', 'render']},
  {
    folder: 'cli',
    imports: ['kernel', 'ffi', 'host', 'intercept', 'config', 'render', 'container', 'explain', 'commands'],
  },
]

/** Packages, and the only folders that import them. */
const PACKAGES = [
  {packages: ['koffi'], folders: ['ffi']},
  {packages: ['chalk', 'cli-table3', 'listr2'], folders: ['render']},
  {packages: ['@oclif'], folders: ['cli', 'commands']},
  {packages: ['ajv', 'cosmiconfig', 'yaml'], folders: ['config']},
  {packages: ['tar'], folders: ['container']},
]

/** Same input, same output: neither Node nor a call into C. */
const PURE = [
  'src/flag\\.ts',
  'src/intercept/(family|policy|preparation|decision|combine|container)\\.ts',
  'src/intercept/families/[^/]+/policy\\.ts',
  'src/intercept/filter/(filter|bpf|bpf-vm|bpf-compiler|disassemble)\\.ts',
  'src/intercept/caller/argument-kinds\\.ts',
  'src/intercept/.*decide.*\\.ts',
]

const anyOf = (words) => `(${words.join('|')})`
const rule = (name, comment, from, to) => ({name, comment, severity: 'error', from, to})

module.exports = {
  forbidden: [
    rule('no-circle', 'Two files that need each other are one, or lack a third.', {}, {circular: true}),
    ...LAYERS.map(({folder, imports}) =>
      rule(
        `layer-${folder}`,
        `src/${folder} stands above ${imports.join(', ') || 'nothing'} alone.`,
        {path: `^src/${folder}/`},
        {path: '^src/[^/]+/', pathNot: `^src/${anyOf([folder, ...imports])}/`},
      ),
    ),
    rule(
      'kernel-is-facts',
      'src/kernel holds facts of Linux and imports nothing.',
      {path: '^src/kernel/'},
      {pathNot: '^src/kernel/'},
    ),
    ...PACKAGES.map(({packages, folders}) =>
      rule(
        `only-${folders.join('-and-')}-imports-${packages[0].replace('@', '')}`,
        `Only ${folders.map((folder) => `src/${folder}`).join(' and ')} may.`,
        {path: '^src/', pathNot: `^src/${anyOf(folders)}/`},
        {path: `node_modules/${anyOf(packages)}(/|$)`},
      ),
    ),
    rule('pure', 'Same input, same output.', {path: `^${anyOf(PURE)}$`}, {dependencyTypes: ['core']}),
    rule('pure-of-c', 'Same input, same output.', {path: `^${anyOf(PURE)}$`}, {path: '^src/ffi/'}),
    rule(
      'family-alone',
      'A family is a folder: what two share stands beside families/.',
      {path: '^src/intercept/families/([^/]+)/'},
      {path: '^src/intercept/families/', pathNot: '^src/intercept/families/$1/'},
    ),
    rule(
      'family-below-engine',
      'The engine calls families, and the log carries what they decide.',
      {path: '^src/intercept/families/'},
      {path: '^src/intercept/(engine|log|composition\\.ts)'},
    ),
    rule(
      'engine-names-no-family',
      'A new family is one line of families/index.ts.',
      {path: '^src/', pathNot: '^src/(intercept/families/|api/handler\\.ts$)'},
      {path: '^src/intercept/families/', pathNot: '^src/intercept/families/index\\.ts$'},
    ),
    rule(
      'engine-runs-containers-alone',
      'What explains, checks or prints starts no worker.',
      {path: '^src/(explain|check|render|config)/'},
      {path: '^src/intercept/(engine|log)/'},
    ),
    rule('nothing-orphaned', 'Nobody imports this file.', {orphan: true, path: '^src/', pathNot: '^src/api/'}, {}),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: {fileName: 'tsconfig.json'},
    doNotFollow: {path: 'node_modules'},
    enhancedResolveOptions: {exportsFields: ['exports'], conditionNames: ['import', 'node', 'default']},
  },
}
