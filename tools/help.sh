# What `bash run.sh --help` says. Sourced by run.sh, whose defaults it shows.

help_message="Usage: bash run.sh [--name value ...]

Stages (each runs alone; a finished one is skipped, an interrupted one goes on):
  1  lists and mixture plans; the mini corpus is generated
  2  teacher: noisy speech of one talker -> embedding
  3  student: mixture -> set of embeddings
  4  embeddings of the dev and test sets as Kaldi ark,scp
  5  extractor: mixture and embedding -> that talker's speech; and the same network without embedding
  6  extract the test set to wav
  7  score every mixture and talker: SI-SDR, PESQ, STOI and more
  8  analyse: clustering of the embeddings, controls of the extraction
  9  report: RESULTS.md, results.json and the table

Options (defaults in brackets; paths are relative to the project's folder):
  --stage N          first stage [$stage]
  --stop_stage N     last stage [$stop_stage]
  --corpus NAME      a folder of egs [$corpus]
  --num_spk N        talkers in a mixture, 2 to 5 [egs/CORPUS/defaults.sh, else 2]
  --extractor NAME   a file of egs/CORPUS/conf/extractor [egs/CORPUS/defaults.sh]
  --separator NAME   a file of egs/CORPUS/conf/separator: trained, run and scored in stages 5 to 7 beside the extractor
                     [none]
  --share_with NAME  the corpus whose lists, single-speaker set and teacher are used [egs/CORPUS/defaults.sh,
                     else CORPUS itself]
  --tables BOOL      true: the stages also make the paper's tables, with all rows and seeds of table1.yaml and
                     table2.yaml in egs/CORPUS/conf. Stages 2 to 4 and 8 make exp/CORPUS/TABLE1.md (Table 1), stages
                     5 to 7 and 9 make exp/CORPUS/TABLE2.md and TABLE4.md [$tables]
  --sessions BOOL    true: stages 1, 3, 8 and 9 also track talkers through simulated conversations of minutes, as
                     sessions.yaml in egs/CORPUS/conf says, and make exp/CORPUS/TRACKING.md [$sessions]
  --write_wav BOOL   true: stage 1 also writes the fixed mixtures as a LibriMix folder tree, to DATA_DIR/CORPUS/wav;
                     no other stage reads it [$write_wav]
  --nj N             parallel jobs; never changes a result [number of cores: $nj]
  --cmd COMMAND      a Kaldi-style job wrapper with its options, such as \"tools/slurm.py --mem 4G\": stages 1, 4, 6,
                     7 and 8 are --nj jobs of it, each training of stages 2, 3 and 5 is one; none: all runs here
                     [cmd.sh, else none]
  --train_cmd COMMAND  the wrapper of trainings, which is also told of --ngpu, --num_procs and --num_nodes
                     [cmd.sh, else --cmd]
  --ngpu N           GPUs of each machine, 0 for none; a training has a process for each [$ngpu]
  --num_procs N      processes of a training on the CPU of each machine [$num_procs]
  --num_nodes N      machines of a training, whose processes srun or torchrun starts [$num_nodes]
  --tag NAME         results go to exp/CORPUS_NAME, beside those of other settings [none]
  --set KEY=VALUE    a value of the configs, repeatable: optim.lr=5e-4 in every config that has the key,
                     student.optim.lr=5e-4 in student.yaml only; KEY:=TEXT takes TEXT literally, not as YAML
  --force BOOL       true: do the chosen stages again, even if they are done [$force]
  --dry_run BOOL     true: print the commands of the chosen stages, run nothing [$dry_run]
  --status BOOL      true: show how the chosen stages stand, what failed, and jobs of the cluster; run nothing [$status]
  --data_dir DIR     lists and plans [$data_dir]
  --exp_dir DIR      models and results [$exp_dir]
  --help             this text"
