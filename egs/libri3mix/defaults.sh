# What run.sh takes on this corpus for options that are not given.
: "${extractor:=dpccn}" "${num_spk:=3}" "${share_with:=libri2mix}"
