// The commands that exist. oclif takes this table as it is (package.json, oclif.commands).

import type {Command} from '@oclif/core'

import {Exec} from './exec.js'
import {Explain} from './explain.js'
import {Run} from './run.js'

export const COMMANDS: Readonly<Record<string, Command.Class>> = {exec: Exec, explain: Explain, run: Run}
