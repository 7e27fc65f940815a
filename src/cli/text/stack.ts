// The stack of a bug in the places of the sources: bundles have long lines and short names.

import {readFileSync} from 'node:fs'
import {SourceMap} from 'node:module'
import {fileURLToPath} from 'node:url'

import {packageFile} from '../../package-files.js'

type SourceMapPayload = ConstructorParameters<typeof SourceMap>[0]

/** As Error.stack has it; a place that no map tells of stays as it is. `directory` is where the bundles are. */
export function stackOfSources(stack: string, directory = fileURLToPath(packageFile('dist/'))): string {
  const maps = new Map<string, SourceMap | undefined>()
  const mapOf = (bundle: string): SourceMap | undefined => {
    if (!maps.has(bundle)) maps.set(bundle, readMap(`${directory}${bundle}.map`))
    return maps.get(bundle)
  }
  // The names that bin/load.js gives to bundles.
  return stack.replaceAll(/\binterceptor:(\w+\.js):(\d+):(\d+)/g, (place, bundle: string, line, column) => {
    // Both count from one, the map from zero.
    const entry = mapOf(bundle)?.findEntry(Number(line) - 1, Number(column) - 1)
    if (entry === undefined || !('originalSource' in entry)) return place
    return `${entry.originalSource.replace(/^(?:\.\.\/)+/, '')}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
  })
}

function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as SourceMapPayload)
  } catch {
    // Without its map the bundle is as good as before.
    return undefined
  }
}
