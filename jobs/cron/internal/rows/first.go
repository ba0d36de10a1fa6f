package rows

// First are the statements with which a leader begins.
var First = []string{
	claimCronLeader, changedCronJobs, forgetCronJobs, selectCronJobs, selectPositions, selectGone, selectOpenRuns,
}
