# What run.sh takes on this corpus for options that are not given.
: "${extractor:=stft_tcn}"
: "${num_spk:=3}"
