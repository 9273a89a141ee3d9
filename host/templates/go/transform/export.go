package main

import "unsafe"

//go:wasmexport configure
func exportConfigure(settings, length uint32) uint32 {
	defer tellPanic()
	return answered([4]uint32{}, configure(text{settings, length}.bytes()))
}

//go:wasmexport apply
func exportApply(call uint32) uint32 {
	defer tellPanic()
	outputs, err := apply(arguments(call))
	if err != nil || len(outputs) == 0 {
		return answered([4]uint32{}, err)
	}
	raw := make([]rawOutput, len(outputs))
	kept = append(kept, raw)
	for i, output := range outputs {
		raw[i] = output.raw()
	}
	return answered([4]uint32{uint32(uintptr(unsafe.Pointer(&raw[0]))), uint32(len(raw))}, nil)
}

type rawOutput struct {
	eventType, contentType, headers, body, orderingKey option
	delayIsSome                                        uint64
	delayMs                                            uint64
}

func (output *Output) raw() rawOutput {
	raw := rawOutput{eventType: some(output.EventType), contentType: some(output.ContentType), orderingKey: some(output.OrderingKey)}
	if output.Body != nil {
		body := string(*output.Body)
		raw.body = some(&body)
	}
	if output.Headers != nil {
		headers := make([]rawHeader, len(*output.Headers)+1)
		kept = append(kept, headers)
		for i, header := range *output.Headers {
			headers[i] = rawHeader{textOf(header.Name), textOf(header.Value)}
		}
		raw.headers = option{1, text{uint32(uintptr(unsafe.Pointer(&headers[0]))), uint32(len(*output.Headers))}}
	}
	if output.DelayMs != nil {
		raw.delayIsSome, raw.delayMs = 1, *output.DelayMs
	}
	return raw
}

func some(line *string) option {
	if line == nil {
		return option{}
	}
	return option{1, textOf(*line)}
}
