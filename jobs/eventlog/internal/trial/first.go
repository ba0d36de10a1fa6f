package trial

// First are the statements with which a leader begins.
var First = []string{beginTerms, judgeTerms, deleteSettled, selectTerms, selectCutOff}
