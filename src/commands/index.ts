// The commands that exist: src/cli/start/main.ts takes them from here, and oclif looks for none by itself.

import type {Command} from '@oclif/core'

import {Check} from './check.js'
import {Exec} from './exec.js'
import {Explain} from './explain.js'
import {Run} from './run.js'
import {Trust} from './trust.js'

export const COMMANDS: Readonly<Record<string, Command.Class>> = {
  check: Check,
  exec: Exec,
  explain: Explain,
  run: Run,
  trust: Trust,
}
