/** The kinds of havoc. */

export const KILLS = ['terminate', 'exit', 'throw', 'hang'] as const
export type Kill = (typeof KILLS)[number]

export const KINDS = [
  ...KILLS,
  'secondary',
  'stall',
  'spool',
  'join',
  'leave',
  'survivors',
  'sets',
  'hold',
  'restore',
  'look'
] as const
export type Kind = (typeof KINDS)[number]

export const KIND_HELP: Record<Kind, string> = {
  terminate: "a component's thread is ended from outside",
  exit: "a component's thread exits",
  throw: "a component's thread throws",
  hang: "a component's thread makes no progress any more",
  secondary: 'threads of secondary components are ended',
  stall: 'the secondary stands still for a while',
  spool: "groups have a spool, some a small one; the spool's thread is ended",
  join: 'components are added',
  leave: 'components are removed',
  survivors: 'groups in which survivors, not a spare, take over',
  sets: 'sets are closed on demand, named and not',
  hold: 'applied sets are held and looked into',
  restore: 'groups keep history; kept sets are restored and looked into',
  look: 'heldUpdates and status are called'
}
