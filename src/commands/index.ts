// The commands that exist. oclif takes this table as it is (package.json, oclif.commands).

import type {Command} from '@oclif/core'

import {Run} from './run.js'

export const COMMANDS: Readonly<Record<string, Command.Class>> = {run: Run}
