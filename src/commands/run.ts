// interceptor run: one command in a fresh container. It starts in src/cli/start/run.ts, without oclif;
// this class is what help shows, and the same start where oclif calls it.

import {Args, Command} from '@oclif/core'

import {oclifFlags} from '../cli/flags/oclif.js'

export class Run extends Command {
  static override readonly summary = 'Run a command in a fresh unprivileged container.'
  static override readonly description =
    'Nothing is intercepted unless a flag turns a family of system calls on. Flags end at the first operand, so that ' +
    '`interceptor run ls -la` works; -- ends them too. Standard input, output and error, the terminal and job control ' +
    "belong to the command. interceptor's own output goes to standard error or to --log-file.\n\n" +
    'The exit status is that of the command. When a signal kills the command, interceptor dies of the same signal. ' +
    '125: interceptor failed, or the command line is wrong; 126: the command cannot be executed; 127: the command was ' +
    'not found.'

  static override readonly usage = 'run [FLAGS] [--] COMMAND [ARG...]'
  static override readonly strict = false
  static override readonly examples = [
    {
      description: 'Make an image of Debian without root',
      command: '<%= config.bin %> run --mknod --sysinfo -- debootstrap --variant=minbase bookworm rootfs',
    },
    {
      description: 'See which calls are refused, and why',
      command: '<%= config.bin %> run --mknod --trace refused -- tar -xf devices.tar',
    },
    {
      description: 'Allow one more device, and keep a log for programs',
      command: '<%= config.bin %> run --mknod-allow /dev/fuse --log-format json --log-file calls.json -- make image',
    },
  ]

  static override readonly flags = oclifFlags('run')
  static override readonly args = {
    command: Args.string({description: 'program and its arguments', ignoreStdin: true, multiple: true, required: true}),
  }

  override async run(): Promise<void> {
    const {run} = await import('../cli/start/run.js')
    await run(this.argv)
  }
}
