// Package wfformat reads, makes and writes scientific workflows in WfFormat,
// the JSON format of the WfCommons project, and turns them into definitions
// whose tasks sleep for as long as the recorded ones ran.
//
// # What is read
//
// Schema versions 1.5 and 1.6, which differ, for what is read here, in nothing
// but one detail: 1.5 allows an empty string among parents and children, which
// then means nothing. Read are the workflow's name, its tasks with their ids,
// names, parents and children, and their runtimes. Files, machines, commands,
// metrics and unknown properties are neither read nor checked.
//
// An edge counts if either of its ends states it: WfCommons' own validator
// takes a disagreement of parents and children for a blemish, and losing an
// edge would be worse than keeping one. An edge stated twice counts once. A
// task without an entry in the execution, or in a file without execution,
// takes no time.
//
// # What is reported
//
// [Parse] reports all problems of a file at once, each as a [Problem] with its
// place in the JSON, such as workflow.specification.tasks[3].parents[0]. Only
// bytes that are no JSON, and a schema version that is not known, end the
// reading early.
package wfformat
