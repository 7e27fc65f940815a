// Worker threads of a program that runs from its sources, as tests do: the bundle of the build may be older than those.

import {createRequire} from 'node:module'
import {fileURLToPath, pathToFileURL} from 'node:url'
import {Worker} from 'node:worker_threads'
import type {WorkerOptions} from 'node:worker_threads'

import type * as Esbuild from 'esbuild'

import {packageFile} from '../../package-files.js'

let bundle: string | undefined

/**
 * Made once for each process, since a loader of TypeScript takes longer in each thread than most tests. None of the
 * options that the process was started with, which name that loader, reach the thread.
 */
export function sourceWorker(options: WorkerOptions): Worker {
  bundle ??= makeBundle()
  return new Worker(bundle, {...options, eval: true, execArgv: []})
}

/** For families that are TypeScript of their own, which share modules with the worker. */
export function sourceWorkerWithLoader(options: WorkerOptions): Worker {
  const loader = createRequire(import.meta.url)
    .resolve('tsx/esm/api')
    .replace(/cjs$/, 'mjs')
  const [api, file] = [JSON.stringify(pathToFileURL(loader).href), JSON.stringify(entry().href)]
  return new Worker(`import(${api}).then(({register}) => (register(), import(${file})))`, {...options, eval: true})
}

function entry(): URL {
  return packageFile('src/intercept/engine/worker.ts')
}

function makeBundle(): string {
  const {buildSync} = createRequire(import.meta.url)('esbuild') as typeof Esbuild
  const {outputFiles} = buildSync({
    entryPoints: [fileURLToPath(entry())],
    bundle: true,
    write: false,
    packages: 'external',
    format: 'cjs',
    platform: 'node',
    // One level below the package, see package-files.ts; and what it requires is found from there.
    define: {'import.meta.url': '__url'},
    banner: {
      js: `const __url = ${JSON.stringify(packageFile('src/worker.ts').href)}; require = require('node:module').createRequire(__url);`,
    },
  })
  return outputFiles[0]?.text ?? ''
}
