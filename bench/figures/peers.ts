// The figures that compare with other programs, each where it can be had.

import type {Figure} from '../figure.js'
import {debootstrap, fakechroot} from './debootstrap.js'
import {fakeroot} from './fakeroot.js'
import {lxd} from './lxd.js'
import {runtimesFigure, startUp} from './start-up.js'
import {strace} from './strace.js'

export const PEERS: readonly Figure[] = [startUp, runtimesFigure, lxd, strace, fakeroot, debootstrap, fakechroot]
