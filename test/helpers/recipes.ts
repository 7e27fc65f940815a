// The recipes for CI in examples/, taken apart.

import {readFileSync, readdirSync} from 'node:fs'
import {join} from 'node:path'

import {parse} from 'yaml'

import {PROJECT} from './program.js'

export const RECIPES = readdirSync(join(PROJECT, 'examples')).filter((name) => /\.ya?ml$/.test(name))

interface Job {
  readonly script?: readonly string[]
  readonly before_script?: readonly string[]
  readonly after_script?: readonly string[]
  readonly steps?: readonly {readonly run?: string; readonly uses?: string}[]
}

/** As YAML has it. */
export const readRecipe = (name: string): Record<string, unknown> =>
  parse(readFileSync(join(PROJECT, 'examples', name), 'utf8')) as Record<string, unknown>

/** Everything that is for a shell. */
export function scriptsOf(name: string): readonly string[] {
  const document = readRecipe(name)
  const jobs = Object.values((document['jobs'] ?? document) as Record<string, unknown>)
  return jobs.flatMap((job) => {
    const {script, before_script: before, after_script: after, steps} = (job ?? {}) as Job
    return [...(before ?? []), ...(script ?? []), ...(after ?? []), ...(steps ?? []).map(({run}) => run ?? '')].filter(
      (text) => text !== '',
    )
  })
}
