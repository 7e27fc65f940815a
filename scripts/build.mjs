// Builds the program into dist/: bundles for the main thread and one for the workers, and beside each the code that V8
// makes of it. Packages stay outside; types are the business of `npm run typecheck`.

import {spawnSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

import {build} from 'esbuild'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
/** Every file lies directly in dist/: src/package-files.ts counts on it. */
const OUTPUT = join(PROJECT, 'dist')

rmSync(OUTPUT, {recursive: true, force: true})
await build({
  absWorkingDir: PROJECT,
  outdir: OUTPUT,
  // Apart from each other: two threads share no code at run time, and `main` can do what `enter` and `run` begin faster.
  entryPoints: {
    enter: 'src/cli/start/enter.ts',
    main: 'src/cli/start/main.ts',
    run: 'src/cli/start/run.ts',
    worker: 'src/intercept/engine/worker.ts',
  },
  bundle: true,
  packages: 'external',
  // One file each, whose modules begin when they are first imported. bin/load.js calls the function that it is.
  format: 'cjs',
  banner: {
    js: '(function(exports,require,module,__filename,IMPORT){const __bundle={get url(){return `file://${encodeURI(__filename).replace(/[?#]/g,encodeURIComponent)}`}};',
  },
  footer: {js: '})'},
  define: {'import.meta.url': '__bundle.url'},
  platform: 'node',
  target: 'node20.19',
  // What is shorter is read faster at each start. A report of a bug is told in the places of the sources by the maps.
  minify: true,
  sourcemap: 'external',
  sourcesContent: false,
  charset: 'ascii',
  logLevel: 'warning',
})
for (const name of ['enter', 'main', 'run', 'worker']) {
  const file = join(OUTPUT, `${name}.js`)
  // As long as what it replaces: the map counts columns.
  const text = readFileSync(file, 'utf8').replaceAll(/\bawait import\(/g, 'await IMPORT(')
  if (/\bimport\((?!\$\{)/.test(text)) throw new Error(`${file} has an import() that is not awaited at once`)
  // eslint-disable-next-line no-control-regex
  if (/[^\x00-\x7f]/.test(text)) throw new Error(`${file} is not ASCII`)
  writeFileSync(file, text)
}

// For programs of others, as a module like any other.
await build({
  absWorkingDir: PROJECT,
  outfile: join(OUTPUT, 'api.mjs'),
  entryPoints: ['src/api/index.ts'],
  bundle: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
})

// What each bundle compiles is kept; the worker's comes with `run`. In a directory of its own, which the container may
// write to; where no container can be made the program starts slower, and is no other.
const directory = mkdtempSync(join(tmpdir(), 'interceptor-build-'))
const {NODE_OPTIONS: _flags, ...env} = process.env
const WARM_UPS = {
  enter: [],
  main: ['explain', '--no-config', '--mknod', 'mknodat(AT_FDCWD, "n", S_IFCHR|0666, makedev(1, 3))'],
  run: ['run', '--quiet', '--no-config', '--mknod', '--', 'true'],
}
try {
  for (const [name, words] of Object.entries(WARM_UPS)) {
    const all = [join(PROJECT, 'scripts', 'warm.cjs'), name, ...words]
    spawnSync(process.execPath, all, {cwd: directory, env, stdio: 'ignore', timeout: 30_000})
  }
} finally {
  rmSync(directory, {recursive: true, force: true})
}
