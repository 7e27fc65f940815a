// Requests of ioctl(2) on terminals: include/uapi/asm-generic/ioctls.h.

import {numbered} from './flag-table.js'

/** Types into the terminal that the caller controls: denied. */
export const TIOCSTI = 0x5412
/** Pastes a selection into the console: denied. */
export const TIOCLINUX = 0x541c

export const TERMINAL_REQUESTS: Readonly<Record<string, number>> = {
  ...numbered(0x5401, 'TCGETS TCSETS TCSETSW TCSETSF TCGETA TCSETA TCSETAW TCSETAF TCSBRK TCXONC TCFLSH'),
  ...numbered(0x540c, 'TIOCEXCL TIOCNXCL TIOCSCTTY TIOCGPGRP TIOCSPGRP TIOCOUTQ'),
  ...{TIOCSTI, TIOCGWINSZ: 0x5413, TIOCSWINSZ: 0x5414, FIONREAD: 0x541b, TIOCLINUX, TIOCNOTTY: 0x5422},
}
