// Writes text in the language of man pages: man(7), with groff's spellings of characters that it would change.

/** Characters as they are typed: a hyphen that can be copied, straight quotes. */
export function literal(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('"', '\\(dq')
}

/** A paragraph: `code`, --flags and pages(1) in bold, and nothing that begins a line as a request. */
export function prose(text: string): string {
  const parts = text.split(/(`[^`]+`|(?<![\w-])--[a-z][a-z-]*|\b[a-z_][\w.-]*\([1-8]\))/)
  const line = parts.map((part, index) => (index % 2 === 0 ? plain(part) : bold(part.replace(/^`|`$/g, '')))).join('')
  return /^[.']/.test(line) ? `\\&${line}` : line
}

export function bold(text: string): string {
  return `\\fB${literal(text)}\\fP`
}

/** Words in capitals stand for something: italic. All else of a synopsis is typed: bold. */
export function synopsis(text: string): string {
  return text
    .split(/([A-Z][A-Z_]*(?:\.\.\.)?)/)
    .map((part, index) => (index % 2 === 1 ? `\\fI${literal(part)}\\fP` : part === '' ? '' : shape(part)))
    .join('')
}

/** A command to copy, on a line of its own. */
export function example(command: string): string {
  return ['.PP', '.nf', '.RS 4', `\\&${literal(command)}`, '.RE', '.fi'].join('\n')
}

export function tagged(tag: string, paragraphs: readonly string[]): string {
  const [first = '', ...rest] = paragraphs
  return ['.TP', tag, first, ...rest.flatMap((paragraph) => ['.IP', paragraph])].join('\n')
}

/** Brackets, dots and signs of a synopsis are not typed. */
function shape(text: string): string {
  return text
    .split(/([a-z-]+)/)
    .map((part, index) => (index % 2 === 1 ? bold(part) : literal(part)))
    .join('')
}

function plain(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('"', '\\(dq').replaceAll('^', '\\(ha')
}
