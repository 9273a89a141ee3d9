package main

//go:wasmexport configure
func exportConfigure(settings, length uint32) uint32 {
	defer tellPanic()
	return answered([4]uint32{}, configure(text{settings, length}.bytes()))
}

//go:wasmexport accept
func exportAccept(call uint32) uint32 {
	defer tellPanic()
	decision, err := accept(arguments(call))
	if err != nil || decision.reason == nil {
		return answered([4]uint32{}, err)
	}
	reason := textOf(*decision.reason)
	return answered([4]uint32{1, reason[0], reason[1]}, nil)
}
