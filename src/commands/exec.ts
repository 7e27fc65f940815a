// interceptor exec: one more command in a container that runs. As for run, this class is what help shows; the start is
// src/cli/start/start-exec.ts, without oclif.

import {Args, Command} from '@oclif/core'

import {oclifFlags} from '../cli/flags/oclif.js'

export class Exec extends Command {
  static override readonly summary = 'Run one more command in a container that runs.'
  static override readonly description =
    'CONTAINER is the name that --name gave the container, or the pid of its init on the host. The command gets the ' +
    "container's namespaces, limits and policy, and a supervisor of its own. Flags of interception can only narrow the " +
    'policy: with any of them, exactly what they say is allowed. When the command ends, interceptor ends the processes ' +
    'that it left behind.\n\n' +
    'The exit status is that of the command, as with run.'

  static override readonly usage = 'exec [FLAGS] CONTAINER [--] COMMAND [ARG...]'
  static override readonly strict = false
  static override readonly examples = [
    {description: 'Look around in a container', command: '<%= config.bin %> exec build -- sh'},
    {
      description: 'Run a test there as an ordinary user',
      command: '<%= config.bin %> exec --user 1000 --workdir /srv build -- make check',
    },
  ]

  static override readonly flags = oclifFlags('exec')
  static override readonly args = {
    container: Args.string({description: 'name of the container, or pid of its init', ignoreStdin: true}),
    command: Args.string({description: 'program and its arguments', ignoreStdin: true, multiple: true}),
  }

  override async run(): Promise<void> {
    const {startExec} = await import('../cli/start/start-exec.js')
    await startExec(this.argv)
  }
}
