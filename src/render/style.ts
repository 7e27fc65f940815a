// Colour, only where standard error is a terminal. Never the only carrier of meaning.

export type Paint = (text: string) => string

export interface Style {
  readonly emulated: Paint
  readonly refused: Paint
  readonly failed: Paint
  readonly continued: Paint
  readonly faint: Paint
  readonly strong: Paint
}

const same: Paint = (text) => text
export const plainStyle: Style = {
  emulated: same,
  refused: same,
  failed: same,
  continued: same,
  faint: same,
  strong: same,
}

/** chalk decides by words of the command line, which here are the command's too: decided here. */
export async function styleFor(isTerminal: boolean, environment: NodeJS.ProcessEnv = process.env): Promise<Style> {
  const wanted = isTerminal && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb'
  return wanted ? colourStyle() : plainStyle
}

export async function colourStyle(): Promise<Style> {
  const {Chalk} = await import('chalk')
  const chalk = new Chalk({level: 1})
  return {
    emulated: chalk.green,
    refused: chalk.red,
    failed: chalk.yellow,
    continued: chalk.cyan,
    faint: chalk.dim,
    strong: chalk.bold,
  }
}
