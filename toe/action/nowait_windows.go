package action

const noWait = 0
