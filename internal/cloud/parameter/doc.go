// Package parameter is the Parameter Store of every account and region: named
// values with their history, and the face that Systems Manager's clients see.
//
// It stands beside the AMIs of package cloud, whose IDs parameters hold: the
// engine puts them there when an image was distributed, and a recipe may take
// its parent from one. A parameter is a name in the store, its versions are the
// builds of it; secret values are sealed before they get there.
package parameter
