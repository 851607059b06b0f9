import { answerRequests } from '../bench-thread.ts'
import { spin } from '../failover/spin.ts'

/** Keeps a core busy as a blocked main thread does, without being the main thread. */
answerRequests<number, void>(spin)
