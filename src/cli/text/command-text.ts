// What a command says of itself, for help and for the manual: oclif's statics without oclif's templates.

import type {Command} from '@oclif/core'

export interface CommandExample {
  readonly description: string
  /** What is typed, without a prompt. */
  readonly command: string
}

export interface CommandText {
  /** A sentence with its full stop. */
  readonly summary: string
  /** Behind `interceptor `. */
  readonly usage: string
  readonly paragraphs: readonly string[]
  readonly examples: readonly CommandExample[]
}

/** oclif's type says that they are always there. */
type Statics = {
  readonly [K in 'description' | 'examples' | 'summary' | 'usage']?: Command.Class[K] | undefined
}

export function commandText(name: string, command: Statics): CommandText {
  const plain = (text: string): string =>
    text.replaceAll('<%= config.bin %>', 'interceptor').replaceAll('<%= command.id %>', name)
  const [usage = `${name} [FLAGS]`] = [command.usage].flat()
  return {
    summary: plain(command.summary ?? ''),
    usage: plain(usage),
    paragraphs: plain(command.description ?? '')
      .split(/\n\n+/)
      .filter((paragraph) => paragraph !== ''),
    examples: (command.examples ?? []).map((example) =>
      typeof example === 'string'
        ? {description: '', command: plain(example)}
        : {description: example.description, command: plain(example.command)},
    ),
  }
}
