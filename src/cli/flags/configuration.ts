// Flags that say which configuration file counts.

import {asTyped} from '../../flag.js'
import type {Flag} from '../../flag.js'

const group = 'Configuration'
const commands = ['run', 'explain', 'check'] as const

export const configuration = {
  file: {
    name: 'config',
    group,
    commands,
    kind: 'value',
    placeholder: 'FILE',
    parse: asTyped,
    summary: 'use this configuration file instead of the one found',
    description:
      'Uses FILE, in YAML or JSON, instead of looking for a configuration file. Its keys are the names of these flags; ' +
      'flags win. The output of `lxc config show` and `incus config show` serves as well.',
  },
  none: {
    name: 'no-config',
    group,
    commands,
    kind: 'switch',
    summary: 'use no configuration file',
    description: 'Looks for no configuration file.',
  },
} as const satisfies Readonly<Record<string, Flag>>

export const configurationFlags: readonly Flag[] = Object.values(configuration)
