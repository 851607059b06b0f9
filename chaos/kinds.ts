/** The kinds of havoc. */

export const KILLS = ['terminate', 'exit', 'throw', 'hang'] as const
export type Kill = (typeof KILLS)[number]

export const KINDS = [...KILLS, 'secondary', 'join', 'leave', 'survivors', 'sets', 'hold', 'look'] as const
export type Kind = (typeof KINDS)[number]

export const KIND_HELP: Record<Kind, string> = {
  terminate: "a component's thread is ended from outside",
  exit: "a component's thread exits",
  throw: "a component's thread throws",
  hang: "a component's thread makes no progress any more",
  secondary: 'threads of secondary components are ended',
  join: 'components are added',
  leave: 'components are removed',
  survivors: 'groups in which survivors, not a spare, take over',
  sets: 'sets are closed on demand, named and not',
  hold: 'applied sets are held and looked into',
  look: 'heldUpdates and status are called'
}
