// Shell completion for bash, zsh and fish. Each shell's own completion of commands takes over behind our flags.

import {commandText} from '../cli/text/command-text.js'
import type {CommandName, Flag} from '../flag.js'
import {flagsOf} from '../cli/flags/index.js'
import type {CommandTable} from '../cli/text/help.js'

/** What may stand for a value. */
type ValueKind = 'directory' | 'file' | 'none' | 'words'

const COMMAND_RUNNERS = ['run', 'exec']

/** Behind the first operand everything belongs to the command. */
const BASH_OPERANDS = `  # bash splits --flag=value at the sign.
  if [[ $current == = ]]; then current=; elif [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD - 2]}; fi

  # The first operand ends our flags: what follows belongs to the command.
  if [[ $command == @(run|exec) ]]; then
    skip=$([[ $command == exec ]] && echo 1 || echo 0)
    for ((index = 2; index < COMP_CWORD; index++)); do
      case \${COMP_WORDS[index]} in
        --) ((index += 1)) ;;
        =) continue ;;
        -*)
          if [[ " $values " == *" \${COMP_WORDS[index]} "* ]]; then
            [[ \${COMP_WORDS[index + 1]-} == = ]] && ((index += 1))
            ((index += 1))
          fi
          continue
          ;;
      esac
      ((index <= COMP_CWORD)) || break
      if ((skip > 0)); then
        skip=0
        continue
      fi
      if declare -F _command_offset >/dev/null; then
        _command_offset "$index"
      elif ((index == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      fi
      return
    done
  fi

`

const BASH_REST = `  if [[ " $values " == *" $previous "* ]]; then return; fi
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
  elif [[ $command == run || ($command == exec && $skip == 0) ]]; then
    mapfile -t COMPREPLY < <(compgen -c -- "$current")
  elif [[ $command == exec ]]; then
    # Containers that run.
    for previous in /run/interceptor/*.json "\${XDG_RUNTIME_DIR:-/nonexistent}"/interceptor/*.json; do
      previous=\${previous##*/}
      # Not through compgen -W, which would expand what a name holds.
      [[ $previous == '*.json' || $previous != "$current"* ]] || COMPREPLY+=("\${previous%.json}")
    done
  fi
} && complete -o bashdefault -o default -F _interceptor interceptor
`

export function bashCompletion(commands: CommandTable): string {
  const names = Object.keys(commands)
  return `# bash completion for interceptor, made by scripts/documents.mjs from the flags of the program.

_interceptor() {
  local command current previous index flags values skip
  COMPREPLY=()
  current=\${COMP_WORDS[COMP_CWORD]}
  previous=\${COMP_WORDS[COMP_CWORD - 1]}
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W '${[...names, 'help', '--help', '--version'].join(' ')}' -- "$current")
    return
  fi
  command=\${COMP_WORDS[1]}
  case $command in
${names.map((name) => bashCommand(name as CommandName)).join('\n')}
    help)
      mapfile -t COMPREPLY < <(compgen -W '${names.join(' ')}' -- "$current")
      return
      ;;
    *) return ;;
  esac

${BASH_OPERANDS}  case $previous in
${bashValues()}
  esac
${BASH_REST}`
}

function bashCommand(name: CommandName): string {
  const known = flagsOf(name)
  const words = [...known.map(({name: flag}) => `--${flag}`), '--help']
  const valued = known.filter(({kind}) => kind !== 'switch').map(({name: flag}) => `--${flag}`)
  return `    ${name})\n      flags='${words.join(' ')}'\n      values='${valued.join(' ')}'\n      ;;`
}

function bashValues(): string {
  const lines = new Map<string, string[]>()
  for (const flag of everyFlag()) {
    const action =
      flag.options !== undefined
        ? `mapfile -t COMPREPLY < <(compgen -W '${flag.options.join(' ')}' -- "$current")`
        : {directory: 'compgen_d', file: 'compgen_f', none: '', words: ''}[valueKind(flag)]
    if (action === '') continue
    const body = action
      .replace('compgen_d', 'mapfile -t COMPREPLY < <(compgen -d -- "$current")')
      .replace('compgen_f', 'mapfile -t COMPREPLY < <(compgen -f -- "$current")')
    lines.set(body, [...(lines.get(body) ?? []), `--${flag.name}`])
  }
  return [...lines].map(([body, names]) => `    ${names.join('|')})\n      ${body}\n      return\n      ;;`).join('\n')
}

export function zshCompletion(commands: CommandTable): string {
  const names = Object.keys(commands)
  const summaries = names.map((name) => `    ${zshQuoted(`${name}:${commandText(name, commands[name]!).summary}`)}`)
  return `#compdef interceptor
# zsh completion for interceptor, made by scripts/documents.mjs from the flags of the program.

_interceptor() {
  local context state state_descr line
  typeset -A opt_args
  local -a commands
  commands=(
${summaries.join('\n')}
  )
  _arguments -C '(- *)'{-h,--help}'[show help]' '(- *)--version[show the version]' '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $words[1] in
${names.map((name) => zshCommand(name as CommandName)).join('\n')}
        help) _describe command commands ;;
      esac
      ;;
  esac
}

_interceptor "$@"
`
}

function zshCommand(name: CommandName): string {
  const specs = [...flagsOf(name).map(zshFlag), `'(- *)'{-h,--help}'[show help]'`]
  const operands =
    name === 'exec' ? [`'1:container: '`, `'*::command: _normal'`] : name === 'run' ? [`'*::command: _normal'`] : []
  // Our flags end where the command begins.
  const lead = COMMAND_RUNNERS.includes(name) ? `_arguments -s -S -A '-*'` : '_arguments -s -S'
  return [
    `        ${name})`,
    `          ${[lead, ...specs, ...operands].join(' \\\n            ')}`,
    '          ;;',
  ].join('\n')
}

function zshFlag(flag: Flag): string {
  const summary = flag.summary.replace(/[[\]\\]/g, '\\$&')
  const repeated = flag.kind === 'list' ? '*' : ''
  if (flag.kind === 'switch') {
    const short =
      flag.char === undefined ? '' : `'(--${flag.name})'-${flag.char}${zshQuoted(`[${summary}]`)} \\\n            `
    return `${short}${zshQuoted(`${repeated}--${flag.name}[${summary}]`)}`
  }
  const action =
    flag.options === undefined
      ? {directory: '_files -/', file: '_files', none: ' ', words: ' '}[valueKind(flag)]
      : `(${flag.options.join(' ')})`
  const placeholder = flag.placeholder.replaceAll(':', '\\:')
  return zshQuoted(`${repeated}--${flag.name}=[${summary}]:${placeholder}:${action}`)
}

export function fishCompletion(commands: CommandTable): string {
  const names = Object.keys(commands)
  const before = '__fish_use_subcommand'
  return `${[
    '# fish completion for interceptor, made by scripts/documents.mjs from the flags of the program.',
    '',
    `complete -c interceptor -n ${before} -f`,
    `complete -c interceptor -n ${before} -s h -l help -d 'show help'`,
    `complete -c interceptor -n ${before} -l version -d 'show the version'`,
    ...names.flatMap((name) => {
      const seen = `'__fish_seen_subcommand_from ${name}'`
      const operand = COMMAND_RUNNERS.includes(name)
        ? [`complete -c interceptor -n ${seen} -a '(__fish_complete_subcommand)'`]
        : []
      return [
        '',
        `complete -c interceptor -n ${before} -a ${name} -d ${fishQuoted(commandText(name, commands[name]!).summary)}`,
        `complete -c interceptor -n ${seen} -s h -l help -d 'show help'`,
        ...flagsOf(name as CommandName).map((flag) => `complete -c interceptor -n ${seen} ${fishFlag(flag)}`),
        ...operand,
      ]
    }),
  ].join('\n')}\n`
}

function fishFlag(flag: Flag): string {
  const short = flag.char === undefined ? '' : `-s ${flag.char} `
  const text = `${short}-l ${flag.name} -d ${fishQuoted(flag.summary)}`
  if (flag.kind === 'switch') return text
  if (flag.options !== undefined) return `${text} -x -a '${flag.options.join(' ')}'`
  const kind = valueKind(flag)
  if (kind === 'directory') return `${text} -x -a '(__fish_complete_directories)'`
  return kind === 'file' ? `${text} -r -F` : `${text} -x`
}

function everyFlag(): readonly Flag[] {
  const names: readonly CommandName[] = ['run', 'exec', 'explain', 'check']
  return [...new Map(names.flatMap(flagsOf).map((flag) => [flag.name, flag])).values()].filter(
    ({kind}) => kind !== 'switch',
  )
}

/** By what stands for the value in help. */
function valueKind({placeholder = '', options}: Flag): ValueKind {
  if (options !== undefined) return 'words'
  const [first = ''] = placeholder.split(/[^A-Z]/)
  if (first === 'DIR') return 'directory'
  return ['FILE', 'PATH', 'SRC', 'DST', 'DEV'].includes(first) ? 'file' : 'none'
}

function zshQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function fishQuoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`
}
