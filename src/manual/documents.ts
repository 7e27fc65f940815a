// Every document that is made from the program's own tables, by its path in the package; scripts/documents.mjs writes them.

import {readFileSync} from 'node:fs'

import {readPackage} from '../cli/text/package.js'
import {COMMANDS} from '../commands/index.js'
import {configurationKeys} from '../cli/flags/index.js'
import {configurationSchema} from '../config/schema.js'
import {FAMILIES} from '../intercept/families/index.js'
import {packageFile} from '../package-files.js'
import {bashCompletion, fishCompletion, zshCompletion} from './completion.js'
import {manualPages} from './pages.js'

export function documents(): Readonly<Record<string, string>> {
  const pages = manualPages({
    version: readPackage().version,
    commands: COMMANDS,
    families: FAMILIES,
    part: readPart,
  })
  return {
    ...Object.fromEntries(Object.entries(pages).map(([name, text]) => [`man/${name}`, text])),
    'completions/interceptor.bash': bashCompletion(COMMANDS),
    'completions/_interceptor': zshCompletion(COMMANDS),
    'completions/interceptor.fish': fishCompletion(COMMANDS),
    'schemas/interceptor.schema.json': `${JSON.stringify(configurationSchema(configurationKeys), undefined, 2)}\n`,
  }
}

function readPart(name: string): string | undefined {
  try {
    return readFileSync(packageFile(`man/${name}`), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
