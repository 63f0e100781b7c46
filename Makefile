# Everything is in ./run, which works without make too.
.PHONY: help install demo test matrix lint lock
help install demo test matrix lint lock:
	@./run $@ $(ARGS)
